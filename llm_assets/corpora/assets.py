"""The assets of a corpus: read, call, write, report. The work is in the modules beside this one."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.components.checks import metric_checks, table_checks
from llm_assets.corpora import chunks, documents, embeddings, evaluation, metadata, serving, vector_index
from llm_assets.corpora.opening import open_chunker, open_source, open_store, parse_options
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.reporting import clear_failures, picture, rate, table
from llm_assets.stages import Stages
from resources.accelerators.resource import AcceleratorResource
from resources.dagster_platform import PlatformResource
from resources.digests import digest_json
from resources.profile import load_profile

if TYPE_CHECKING:
    from resources.platform import Platform


HARDEST = 25  # questions shown, those with the worst answers first


class DocumentsConfig(dg.Config):
    """Parameters of one run."""

    reparse: bool = False
    """Parse every file again, changed or not."""


def corpus_definitions(spec: CorpusSpec) -> dg.Definitions:
    """The assets and checks of a corpus."""
    stages = Stages("corpus", spec.tenant, spec.settings)
    makers = [_source_files, _documents, _chunks, _embeddings, _vector_index]
    if spec.settings.evaluation:
        makers.append(_retrieval_evaluation)
    return dg.Definitions(assets=[make(spec, stages) for make in makers], asset_checks=_checks(spec, stages))


def _source_files(spec: CorpusSpec, stages: Stages) -> Any:
    @dg.observable_source_asset(**stages.common("source_files", f"The files of `{spec.settings.source.path}`."))
    def source_files() -> dg.ObserveResult:
        with clear_failures(spec.id):
            return _observe(spec, stages)

    return source_files


def _observe(spec: CorpusSpec, stages: Stages) -> dg.ObserveResult:
    files = open_source(spec).list()
    return dg.ObserveResult(
        asset_key=stages.key("source_files"),
        data_version=dg.DataVersion(documents.source_version(files)),
        metadata={"files": len(files), "bytes": sum(file.size for file in files)},
    )


def _documents(spec: CorpusSpec, stages: Stages) -> dg.AssetsDefinition:
    settings = spec.settings

    @stages.asset(
        "documents",
        "One row a file: its text, language, or why it is not read.",
        after=[stages.key("source_files")],
        kinds={"python", "lance"},
        version=(
            settings.source,
            parse_options(spec).fingerprint,
        ),
    )
    def documents_asset(
        context: dg.AssetExecutionContext, config: DocumentsConfig, platform: PlatformResource
    ) -> dg.MaterializeResult:
        with stages.hold(context, platform) as opened:
            report = documents.ingest(
                opened,
                spec,
                open_source(spec),
                parse_options(spec),
                workers=opened.profile.parser_workers,
                reparse=config.reparse,
                log=context.log.info,
            )
            stages.observed(
                context, "source_files", report.source_version, {"files": report.listed, "bytes": report.listed_bytes}
            )
            version = documents.documents_version(opened.state, spec.tenant, spec.name)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(version), metadata=metadata.of_documents(opened, spec, report)
            )

    return documents_asset


def _chunks(spec: CorpusSpec, stages: Stages) -> dg.AssetsDefinition:
    settings = spec.settings

    @stages.asset(
        "chunks",
        "Passages of the documents, each small enough to embed whole.",
        after=[stages.key("documents")],
        kinds={"python", "lance"},
        version=(
            settings.chunk,
            settings.embedder.decisive,
        ),
    )
    def chunks_asset(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with stages.hold(context, platform) as opened:
            report = chunks.cut(opened, spec, open_chunker(opened, spec), log=context.log.info)
            rows = chunks.known_chunks(opened.state, spec.tenant, spec.name).values()
            return dg.MaterializeResult(
                data_version=dg.DataVersion(chunks.chunks_version(opened.state, spec.tenant, spec.name)),
                metadata={
                    "dagster/row_count": sum(row["chunks"] for row in rows),
                    "documents": len(rows),
                    "documents cut in this run": report.documents_cut,
                    "documents removed in this run": report.documents_removed,
                    "chunks written in this run": report.chunks_written,
                    "tokens a chunk": round(report.tokens_written / max(1, report.chunks_written), 1),
                },
            )

    return chunks_asset


def _embeddings(spec: CorpusSpec, stages: Stages) -> dg.AssetsDefinition:
    settings = spec.settings

    @stages.asset(
        "embeddings",
        "One vector a distinct text, kept by content and embedder.",
        after=[stages.key("chunks")],
        kinds={"python", "lance"},
        version=(settings.embedder.decisive,),
        pool=settings.embedder.pool,
    )
    def embeddings_asset(
        context: dg.AssetExecutionContext, platform: PlatformResource, accelerator: AcceleratorResource
    ) -> dg.MaterializeResult:
        with (
            stages.leased(context, platform, accelerator, settings.embedder.pool) as (opened, held),
            open_store(opened, spec, held.start) as store,
        ):
            report = embeddings.embed_corpus(opened, spec, store, log=context.log.info)
            version = digest_json(
                [chunks.chunks_version(opened.state, spec.tenant, spec.name), store.embedder.fingerprint]
            )
            return dg.MaterializeResult(
                data_version=dg.DataVersion(version),
                metadata={
                    "dagster/row_count": report.distinct,
                    "texts embedded in this run": report.embedded,
                    "texts a second": rate(report.embedded, report.seconds),
                    "seconds": round(report.seconds, 2),
                    "embedder": settings.embedder.model,
                    "dimension": store.embedder.dimension,
                    **held.metadata(),
                },
            )

    return embeddings_asset


def _vector_index(spec: CorpusSpec, stages: Stages) -> dg.AssetsDefinition:
    key, pool = stages.key("vector_index"), spec.settings.embedder.pool
    check = dg.AssetCheckSpec(
        "fit_to_serve", asset=key, blocking=True, description="Complete, found again, and past its retrieval gate."
    )

    name_check = dg.AssetCheckSpec(
        "name_leads_to_served", asset=key, description="The corpus's name on the server leads to what is served."
    )

    @stages.asset(
        "vector_index",
        "The served collection: vectors and full text of all passages.",
        after=[stages.key("chunks"), stages.key("embeddings")],
        kinds={load_profile().index},
        version=(
            spec.settings.index,
            spec.settings.evaluation,
        ),
        checks=[check, name_check],
        pool=pool,
    )
    def vector_index_asset(
        context: dg.AssetExecutionContext, platform: PlatformResource, accelerator: AcceleratorResource
    ) -> dg.MaterializeResult:
        with (
            stages.leased(context, platform, accelerator, pool) as (opened, held),
            open_store(opened, spec, held.start) as store,
        ):
            report = vector_index.build(
                opened,
                spec,
                store,
                chunker=open_chunker(opened, spec).fingerprint,
                evaluate=evaluation.measure(opened, spec, store),
                gate=lambda metrics: evaluation.gate_problems(spec, metrics),
                log=context.log.info,
            )
            if report.pinned:
                context.log.warning(
                    f"{spec.id} is pinned by a rollback: built, not served (llm-assets resume {spec.id})"
                )
            return dg.MaterializeResult(
                data_version=dg.DataVersion(report.served.content if report.served else "nothing served"),
                metadata={**metadata.of_index(report), **held.metadata()},
                check_results=[_fit_to_serve(report), _name_leads_to_served(report)],
            )

    return vector_index_asset


def _fit_to_serve(report: vector_index.BuildReport) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not report.problems,
        check_name="fit_to_serve",
        description="; ".join(report.problems) or None,
        metadata={"problems": "; ".join(report.problems) or "none", **report.metrics},
    )


def _name_leads_to_served(report: vector_index.BuildReport) -> dg.AssetCheckResult:
    """True where there is no server: nobody searches by a name then."""
    return dg.AssetCheckResult(
        passed=report.name_problem is None,
        check_name="name_leads_to_served",
        severity=dg.AssetCheckSeverity.ERROR,
        description=report.name_problem,
    )


def _retrieval_evaluation(spec: CorpusSpec, stages: Stages) -> dg.AssetsDefinition:
    pool = spec.settings.embedder.pool

    @stages.asset(
        "retrieval_evaluation",
        "How well the served index answers the corpus's own questions.",
        after=[stages.key("vector_index")],
        kinds={"python"},
        version=(spec.settings.evaluation,),
        pool=pool,
    )
    def retrieval_evaluation(
        context: dg.AssetExecutionContext, platform: PlatformResource, accelerator: AcceleratorResource
    ) -> dg.MaterializeResult:
        with (
            stages.leased(context, platform, accelerator, pool) as (opened, held),
            open_store(opened, spec, held.start) as store,
        ):
            found = evaluation.of_served(opened, spec, store)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(digest_json(found.metrics)),
                metadata={
                    "questions": len(found.details["per_query"]),
                    **{name: round(value, 4) for name, value in found.metrics.items()},
                    "by language": table(
                        [{"language": name, **row} for name, row in found.details["by_language"].items()],
                        ["language", *found.metrics],
                    ),
                    "results": picture(evaluation.chart(found), "nDCG@10 by question"),
                    "hardest questions": table(
                        sorted(found.details["per_query"], key=lambda row: row["ndcg"])[:HARDEST],
                        ["query_id", "ndcg", "first_relevant", "top", "text"],
                    ),
                    **held.metadata(),
                },
            )

    return retrieval_evaluation


def _checks(spec: CorpusSpec, stages: Stages) -> list[dg.AssetChecksDefinition]:
    tests, tenant, name = spec.settings.tests, spec.tenant, spec.name

    def chunk_rows(platform: "Platform") -> Any:
        return chunks.chunks_table(platform, tenant, name)

    def embedding_rows(platform: "Platform") -> Any:
        return open_store(platform, spec).table

    found = table_checks(
        stages.key("documents"),
        tests.documents,
        lambda platform: documents.documents_table(platform, spec.tenant, spec.name),
    )
    found += table_checks(stages.key("chunks"), tests.chunks, chunk_rows)
    found += table_checks(stages.key("embeddings"), tests.embeddings, embedding_rows)
    found += table_checks(
        stages.key("vector_index"),
        tests.vector_index,
        lambda platform: serving.ServedRows(platform, tenant, name),
    )
    found += metric_checks(
        stages.key("retrieval_evaluation"),
        tests.retrieval_evaluation,
        lambda platform: evaluation.latest_metrics(platform.state, tenant, name),
    )
    return found
