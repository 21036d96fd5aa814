"""The asset that trains."""

import dagster as dg

from llm_assets.launchpad import config_of, of_run
from llm_assets.models import fine_tune
from llm_assets.models.memory.asking import request_tags
from llm_assets.models.settings import FineTuneSpec, TrainingSettings
from llm_assets.models.training_step import tune
from llm_assets.stages import Stages
from resources.accelerators.configuration import pool_problem
from resources.accelerators.resource import AcceleratorResource
from resources.dagster_platform import PlatformResource


def tuned_model_asset(spec: FineTuneSpec, stages: Stages) -> dg.AssetsDefinition:
    settings = spec.settings

    @stages.asset(
        "tuned_model",
        "The tuned weights, as safetensors: an adapter of the base model, or all of it.",
        after=[stages.key("training_set")],
        kinds={"pytorch", "huggingface"},
        version=[fine_tune.TRAINER_VERSION, settings.model, settings.training.decisive],
        pool=settings.training.pool,
        asks=request_tags(spec),
        config=config_of(
            f"training of {spec.id}", settings.training, without=("pool", "memory_gb"), problem=_next_pool_problem
        ),
    )
    def tuned_model(
        context: dg.AssetExecutionContext, platform: PlatformResource, accelerator: AcceleratorResource
    ) -> dg.MaterializeResult:
        return tune(context, stages, platform, accelerator, of_run(spec, "training", context))

    return tuned_model


def _next_pool_problem(settings: TrainingSettings) -> str | None:
    problem = settings.next_pool and pool_problem(settings.next_pool)
    return f"next_pool: {problem}" if problem else None
