"""The asset that examines."""

import time

import dagster as dg

from llm_assets.models import evaluation, fine_tune, metadata, training_set
from llm_assets.models.pipes import in_child
from llm_assets.models.settings import FineTuneSpec
from llm_assets.stages import Stages
from resources.accelerators.resource import AcceleratorResource
from resources.dagster_platform import PlatformResource
from resources.digests import digest_json


def evaluation_asset(spec: FineTuneSpec, stages: Stages) -> dg.AssetsDefinition:
    pool = spec.settings.evaluation.pool

    @stages.asset(
        "evaluation",
        "Base model against tuned model on the held-out examples.",
        after=[stages.key("training_set"), stages.key("tuned_model")],
        kinds={"pytorch", "lance"},
        version=[evaluation.EVALUATOR_VERSION, spec.settings.evaluation.decisive],
        pool=pool,
    )
    def evaluation_(
        context: dg.AssetExecutionContext, platform: PlatformResource, accelerator: AcceleratorResource
    ) -> dg.MaterializeResult:
        with stages.leased(context, platform, accelerator, pool) as (opened, held):
            rows = training_set.load_training_set(opened, spec)
            run, started = fine_tune.finished_run(opened, spec, rows), time.monotonic()
            asked = evaluation.pending(run, spec, rows)
            if asked:
                in_child(
                    context, held.start, lambda start, each: evaluation.ask(run, spec, rows, start=start, each=each)
                )
            found = evaluation.judge(run, spec, rows)
            evaluation.store_evaluation(opened, spec, found)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(digest_json(found.rows)),
                metadata={
                    "models asked in this run": asked,
                    "seconds": round(time.monotonic() - started, 1) if asked else 0.0,
                    **metadata.of_evaluation(found, rows),
                    **held.metadata(),
                },
            )

    return evaluation_
