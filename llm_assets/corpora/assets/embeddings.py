"""The asset that embeds."""

import dagster as dg

from llm_assets.corpora import chunks, embeddings
from llm_assets.corpora.opening import open_store
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.launchpad import config_of, of_run
from llm_assets.reporting import rate
from llm_assets.stages import Stages, buckets_of
from resources.accelerators.resource import AcceleratorResource
from resources.dagster_platform import PlatformResource
from resources.digests import digest_json


def embeddings_asset(spec: CorpusSpec, stages: Stages) -> dg.AssetsDefinition:
    settings = spec.settings

    @stages.asset(
        "embeddings",
        "One vector a distinct text, kept by content and embedder.",
        after=[stages.key("chunks")],
        kinds={"python", "lance"},
        version=(settings.embedder.decisive,),
        pool=settings.embedder.pool,
        config=config_of(f"embeddings of {spec.id}", settings.embedder, only=("threads",)),
        buckets=settings.buckets,
    )
    def embeddings_table(
        context: dg.AssetExecutionContext, platform: PlatformResource, accelerator: AcceleratorResource
    ) -> dg.MaterializeResult:
        buckets = buckets_of(context, settings.buckets)
        with (
            stages.leased(context, platform, accelerator, settings.embedder.pool, buckets) as (opened, held),
            open_store(opened, of_run(spec, "embedder", context), held.start) as store,
        ):
            report = embeddings.embed_corpus(opened, spec, store, buckets=buckets, log=context.log.info)
            version = digest_json(
                [chunks.chunks_version(opened.state, spec.tenant, spec.name, buckets), store.embedder.fingerprint]
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

    return embeddings_table
