"""The assets of a corpus: read, call, write, report. The work is in the modules beside this one."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.components.checks import metric_checks, table_checks
from llm_assets.corpora import chunks, documents, embeddings, evaluation, serving, vector_index
from llm_assets.corpora.opening import open_chunker, open_source, open_store, parse_options
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.reporting import clear_failures, counts, picture, rate, table
from resources.dagster_platform import PlatformResource
from resources.digests import digest_json

if TYPE_CHECKING:
    from resources.platform import Platform

STAGES = ("source_files", "documents", "chunks", "embeddings", "vector_index", "retrieval_evaluation")


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


def _common(spec: CorpusSpec, stage: str, kinds: set[str], description: str) -> dict[str, Any]:
    """What the decorators of all stages say alike."""
    settings = spec.settings
    return {
        "key": asset_key(spec, stage),
        "group_name": f"{spec.tenant}_{spec.name}",
        "kinds": kinds,
        "owners": settings.owners or None,
        "tags": {"tenant": spec.tenant, "corpus": spec.name, "stage": stage, **settings.tags},
        "description": "\n\n".join(part for part in (description, settings.description) if part),
    }


def _version(*parts: Any) -> str:
    """A code version: changes when these settings do."""
    return digest_json([part.model_dump(mode="json") if hasattr(part, "model_dump") else part for part in parts])[:12]


def _source_files(spec: CorpusSpec) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # observable assets are beta in this release
        common = _common(spec, "source_files", {"file"}, f"The files of `{spec.settings.source.path}`.")
        common.pop("kinds")

        @dg.observable_source_asset(**common)
        def source_files(context: dg.OpExecutionContext) -> dg.ObserveResult:
            with clear_failures(spec.id):
                return _observe(spec)

    return source_files


def _observe(spec: CorpusSpec) -> dg.ObserveResult:
    files = open_source(spec).list()
    return dg.ObserveResult(
        asset_key=asset_key(spec, "source_files"),
        data_version=dg.DataVersion(digest_json([[file.uri, file.stamp] for file in files])),
        metadata={"files": len(files), "bytes": sum(file.size for file in files)},
    )


def _documents(spec: CorpusSpec) -> dg.AssetsDefinition:
    settings = spec.settings

    @dg.asset(
        **_common(
            spec, "documents", {"python", "lance"}, "One row a file: its text, language, or why it is not read."
        ),
        deps=[asset_key(spec, "source_files")],
        code_version=_version(settings.source, settings.parse),
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

    @dg.asset(
        **_common(
            spec, "chunks", {"python", "lance"}, "Passages of the documents, each small enough to embed whole."
        ),
        deps=[asset_key(spec, "documents")],
        code_version=_version(settings.chunk, settings.embedder),
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

    @dg.asset(
        **_common(
            spec, "embeddings", {"python", "lance"}, "One vector a distinct text, kept by content and embedder."
        ),
        deps=[asset_key(spec, "chunks")],
        code_version=_version(settings.embedder),
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

    @dg.asset(
        **_common(spec, "vector_index", {"lancedb"}, "The served collection: vectors and full text of all passages."),
        deps=[asset_key(spec, "embeddings")],
        check_specs=[check],
        code_version=_version(spec.settings.index, spec.settings.evaluation),
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
    @dg.asset(
        **_common(
            spec, "retrieval_evaluation", {"python"}, "How well the served index answers the corpus's own questions."
        ),
        deps=[asset_key(spec, "vector_index")],
        code_version=_version(spec.settings.evaluation),
    )
    def retrieval_evaluation(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with _stage(context, spec, platform) as opened, open_store(opened, spec) as store:
            found = evaluation.of_served(opened, spec, store)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(digest_json(found.metrics)),
                metadata={
                    "questions": len(found.per_query),
                    **{name: round(value, 4) for name, value in found.metrics.items()},
                    "by question": table(found.per_query, list(found.per_query[0]) if found.per_query else []),
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
        asset_key(spec, "documents"), tests.documents, lambda platform: documents.documents_table(platform, spec.tenant, spec.name)
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

    def waiting(name: str) -> None:
        context.log.info(f"another run works on {spec.id}; waiting for it")

    with clear_failures(spec.id), opened.state.lock(f"corpus/{spec.id}", on_wait=waiting):
        yield opened
