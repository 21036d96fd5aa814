"""The asset that trains."""

import time

import dagster as dg

from llm_assets.models import fine_tune, metadata, training_set
from llm_assets.models.pipes import in_child
from llm_assets.models.settings import FineTuneSpec
from llm_assets.stages import Stages
from resources.accelerators.resource import AcceleratorResource
from resources.dagster_platform import PlatformResource


def tuned_model_asset(spec: FineTuneSpec, stages: Stages) -> dg.AssetsDefinition:
    settings = spec.settings

    @stages.asset(
        "tuned_model",
        "A LoRA adapter of the base model, as safetensors.",
        after=[stages.key("training_set")],
        kinds={"pytorch", "huggingface"},
        version=[fine_tune.TRAINER_VERSION, settings.model, settings.training.decisive],
        pool=settings.training.pool,
    )
    def tuned_model(
        context: dg.AssetExecutionContext, platform: PlatformResource, accelerator: AcceleratorResource
    ) -> dg.MaterializeResult:
        with stages.leased(context, platform, accelerator, settings.training.pool) as (opened, held):
            rows = training_set.load_training_set(opened, spec)
            run, started = fine_tune.open_run(opened, spec, rows), time.monotonic()
            trained = not run.finished
            if trained:
                in_child(
                    context, held.start, lambda start, each: fine_tune.train(run, spec, rows, start=start, each=each)
                )
            documents = fine_tune.remember_documents(opened, spec, run, rows)
            seconds = time.monotonic() - started if trained else 0.0
            return dg.MaterializeResult(
                data_version=dg.DataVersion(run.version),
                metadata={**metadata.of_tuned_model(run, trained, seconds, documents), **held.metadata()},
            )

    return tuned_model
