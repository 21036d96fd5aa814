"""The asset that measures retrieval."""

import dagster as dg

from llm_assets.corpora import evaluation
from llm_assets.corpora.opening import open_store
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.reporting import picture, table
from llm_assets.stages import Stages
from resources.accelerators.resource import AcceleratorResource
from resources.dagster_platform import PlatformResource
from resources.digests import digest_json

HARDEST = 25  # questions shown, those with the worst answers first


def retrieval_evaluation_asset(spec: CorpusSpec, stages: Stages) -> dg.AssetsDefinition:
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
