"""The assets of a corpus: read, call, write, report. The work is in the modules beside this one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from pydantic import BaseModel

from llm_assets.components.checks import metric_checks, table_checks
from llm_assets.corpora import chunks, documents, embeddings, evaluation, serving, vector_index
from llm_assets.corpora.opening import open_chunker, open_source, open_store, parse_options
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.reporting import clear_failures, counts, picture, rate, table
from resources.dagster_platform import PlatformResource
from resources.digests import digest_json

if TYPE_CHECKING:
    from resources.platform import Platform

DATA_VERSION_TAG = "dagster/data_version"


class DocumentsConfig(dg.Config):
    """Parameters of one run."""

    reparse: bool = False
    """Parse every file again, changed or not."""


def corpus_definitions(spec: CorpusSpec) -> dg.Definitions:
    """The assets and checks of a corpus."""
    stages = [_source_files(spec), _documents(spec), _chunks(spec), _embeddings(spec), _vector_index(spec)]
    if spec.settings.evaluation:
        stages.append(_retrieval_evaluation(spec))
    return dg.Definitions(assets=stages, asset_checks=_checks(spec))


def asset_key(spec: CorpusSpec, stage: str) -> dg.AssetKey:
    """The key of one stage: tenant, corpus, stage."""
    return dg.AssetKey([spec.tenant, spec.name, stage])


def _common(spec: CorpusSpec, stage: str, description: str) -> dict[str, Any]:
    """What all stages say alike."""
    settings = spec.settings
    return {
        "key": asset_key(spec, stage),
        "group_name": f"{spec.tenant}_{spec.name}",
        "owners": settings.owners or None,
        "tags": {"tenant": spec.tenant, "corpus": spec.name, "stage": stage, **settings.tags},
        "description": "\n\n".join(part for part in (description, settings.description) if part),
    }


def _asset(
    spec: CorpusSpec,
    stage: str,
    description: str,
    *,
    after: str,
    kinds: set[str],
    version: tuple[Any, ...],
    checks: list[dg.AssetCheckSpec] | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """The decorator of a stage. `version` are the settings whose change makes its result stale."""
    decorator = dg.asset(
        **_common(spec, stage, description),
        kinds=kinds,
        deps=[asset_key(spec, after)],
        code_version=digest_json(
            [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in version]
        )[:12],
        check_specs=checks,
    )
    return cast("Callable[[Callable[..., Any]], dg.AssetsDefinition]", decorator)


def _source_files(spec: CorpusSpec) -> Any:
    @dg.observable_source_asset(**_common(spec, "source_files", f"The files of `{spec.settings.source.path}`."))
    def source_files() -> dg.ObserveResult:
        with clear_failures(spec.id):
            return _observe(spec)

    return source_files


def _observe(spec: CorpusSpec) -> dg.ObserveResult:
    files = open_source(spec).list()
    return dg.ObserveResult(
        asset_key=asset_key(spec, "source_files"),
        data_version=dg.DataVersion(documents.source_version(files)),
        metadata={"files": len(files), "bytes": sum(file.size for file in files)},
    )


def _report_source(context: dg.AssetExecutionContext, spec: CorpusSpec, report: documents.IngestReport) -> None:
    """Say which state of the source was read, so that documents count as fresh with respect to it."""
    key = asset_key(spec, "source_files")
    context.log_event(
        dg.AssetObservation(
            asset_key=key,
            metadata={"files": report.listed, "bytes": report.listed_bytes},
            tags={DATA_VERSION_TAG: report.source_version},
        )
    )
    # The version of the source was looked up before the step; it is looked up again when the result is recorded.
    context.get_step_execution_context().wipe_input_asset_version_info(key)


def _documents(spec: CorpusSpec) -> dg.AssetsDefinition:
    settings = spec.settings

    @_asset(
        spec,
        "documents",
        "One row a file: its text, language, or why it is not read.",
        after="source_files",
        kinds={"python", "lance"},
        version=(
            settings.source,
            parse_options(spec).fingerprint,
        ),
    )
    def documents_asset(
        context: dg.AssetExecutionContext, config: DocumentsConfig, platform: PlatformResource
    ) -> dg.MaterializeResult:
        with _stage(context, spec, platform) as opened:
            report = documents.ingest(
                opened,
                spec,
                open_source(spec),
                parse_options(spec),
                workers=opened.profile.parser_workers,
                reparse=config.reparse,
                log=context.log.info,
            )
            _report_source(context, spec, report)
            version = documents.documents_version(opened.state, spec.tenant, spec.name)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(version), metadata=_documents_metadata(opened, spec, report)
            )

    return documents_asset


def _documents_metadata(platform: "Platform", spec: CorpusSpec, report: documents.IngestReport) -> dict[str, Any]:
    rows = documents.known_documents(platform.state, spec.tenant, spec.name).values()
    quarantined = sorted((row for row in rows if row["status"] == "quarantined"), key=lambda row: row["uri"])
    return {
        "dagster/row_count": len(rows),
        "files listed": report.listed,
        "parsed in this run": report.parsed,
        "touched, content unchanged": report.same_content,
        "deleted in this run": report.deleted,
        "quarantined": len(quarantined),
        "quarantined files": table(quarantined, ["uri", "code", "reason"]),
        "languages": counts((row["language"] for row in rows if row["good_key"]), "language"),
        "formats": counts((row["media_type"] for row in rows if row["good_key"]), "format"),
        "seconds": round(report.seconds, 2),
        "documents a second": rate(report.parsed, report.seconds),
    }


def _chunks(spec: CorpusSpec) -> dg.AssetsDefinition:
    settings = spec.settings

    @_asset(
        spec,
        "chunks",
        "Passages of the documents, each small enough to embed whole.",
        after="documents",
        kinds={"python", "lance"},
        version=(
            settings.chunk,
            settings.embedder,
        ),
    )
    def chunks_asset(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with _stage(context, spec, platform) as opened:
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


def _embeddings(spec: CorpusSpec) -> dg.AssetsDefinition:
    settings = spec.settings

    @_asset(
        spec,
        "embeddings",
        "One vector a distinct text, kept by content and embedder.",
        after="chunks",
        kinds={"python", "lance"},
        version=(settings.embedder,),
    )
    def embeddings_asset(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with _stage(context, spec, platform) as opened, open_store(opened, spec) as store:
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
                },
            )

    return embeddings_asset


def _vector_index(spec: CorpusSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "vector_index")
    check = dg.AssetCheckSpec(
        "fit_to_serve", asset=key, blocking=True, description="Complete, found again, and past its retrieval gate."
    )

    @_asset(
        spec,
        "vector_index",
        "The served collection: vectors and full text of all passages.",
        after="embeddings",
        kinds={"lancedb"},
        version=(
            spec.settings.index,
            spec.settings.evaluation,
        ),
        checks=[check],
    )
    def vector_index_asset(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with _stage(context, spec, platform) as opened, open_store(opened, spec) as store:
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
                metadata=_index_metadata(report),
                check_results=[_fit_to_serve(report)],
            )

    return vector_index_asset


def _fit_to_serve(report: vector_index.BuildReport) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not report.problems,
        check_name="fit_to_serve",
        description="; ".join(report.problems) or None,
        metadata={"problems": "; ".join(report.problems) or "none", **report.metrics},
    )


def _index_metadata(report: vector_index.BuildReport) -> dict[str, Any]:
    served = report.served
    return {
        "dagster/row_count": served.rows if served else 0,
        "served collection": served.snapshot.collection if served else "none",
        "served version": str(served.snapshot.version) if served else "none",
        "candidate is served": bool(served and served.content == report.content),
        "pinned": report.pinned,
        "chunks upserted in this run": report.upserted,
        "chunks deleted in this run": report.deleted,
        **({"recall@10 against exact search": report.verification.recall} if report.verification else {}),
        **{name: round(value, 4) for name, value in report.metrics.items()},
    }


def _retrieval_evaluation(spec: CorpusSpec) -> dg.AssetsDefinition:
    @_asset(
        spec,
        "retrieval_evaluation",
        "How well the served index answers the corpus's own questions.",
        after="vector_index",
        kinds={"python"},
        version=(spec.settings.evaluation,),
    )
    def retrieval_evaluation(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with _stage(context, spec, platform) as opened, open_store(opened, spec) as store:
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
                    "by question, worst first": table(
                        sorted(found.details["per_query"], key=lambda row: row["ndcg"]),
                        ["query_id", "language", "ndcg", "first_relevant", "top", "text"],
                    ),
                    "results": picture(evaluation.chart(found), "nDCG@10 by question"),
                },
            )

    return retrieval_evaluation


def _checks(spec: CorpusSpec) -> list[dg.AssetChecksDefinition]:
    tests, tenant, name = spec.settings.tests, spec.tenant, spec.name

    def chunk_rows(platform: "Platform") -> Any:
        return chunks.chunks_table(platform, tenant, name)

    def embedding_rows(platform: "Platform") -> Any:
        return open_store(platform, spec).table

    found = table_checks(
        asset_key(spec, "documents"),
        tests.documents,
        lambda platform: documents.documents_table(platform, spec.tenant, spec.name),
    )
    found += table_checks(asset_key(spec, "chunks"), tests.chunks, chunk_rows)
    found += table_checks(asset_key(spec, "embeddings"), tests.embeddings, embedding_rows)
    found += table_checks(
        asset_key(spec, "vector_index"),
        tests.vector_index,
        lambda platform: serving.ServedRows(platform, tenant, name),
    )
    found += metric_checks(
        asset_key(spec, "retrieval_evaluation"),
        tests.retrieval_evaluation,
        lambda platform: evaluation.latest_metrics(platform.state, tenant, name),
    )
    return found


@contextmanager
def _stage(context: dg.AssetExecutionContext, spec: CorpusSpec, platform: PlatformResource) -> "Iterator[Platform]":
    """One stage of one corpus at a time, whoever runs it; errors that people can mend are said plainly."""
    opened = platform.open()

    lock = opened.state.lock(
        f"corpus/{spec.id}", on_wait=lambda _: context.log.info(f"another run works on {spec.id}; waiting for it")
    )
    with clear_failures(spec.id), lock:
        yield opened
