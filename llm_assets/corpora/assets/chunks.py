"""The asset that cuts."""

import dagster as dg

from llm_assets.corpora import chunks
from llm_assets.corpora.opening import open_chunker
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.stages import Stages, buckets_of
from resources.dagster_platform import PlatformResource


def chunks_asset(spec: CorpusSpec, stages: Stages) -> dg.AssetsDefinition:
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
        buckets=settings.buckets,
    )
    def chunks_table(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        buckets = buckets_of(context, settings.buckets)
        with stages.hold(context, platform, buckets) as opened:
            report = chunks.cut(opened, spec, open_chunker(opened, spec), buckets=buckets, log=context.log.info)
            rows = chunks.known_chunks(opened.state, spec.tenant, spec.name, buckets).values()
            return dg.MaterializeResult(
                data_version=dg.DataVersion(chunks.chunks_version(opened.state, spec.tenant, spec.name, buckets)),
                metadata={
                    "dagster/row_count": sum(row["chunks"] for row in rows),
                    "documents": len(rows),
                    "documents cut in this run": report.documents_cut,
                    "documents removed in this run": report.documents_removed,
                    "chunks written in this run": report.chunks_written,
                    "tokens a chunk": round(report.tokens_written / max(1, report.chunks_written), 1),
                },
            )

    return chunks_table
