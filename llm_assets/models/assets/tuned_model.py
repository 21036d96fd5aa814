"""The asset that trains."""

import time

import dagster as dg

from llm_assets.launchpad import config_of, of_run
from llm_assets.models import fine_tune, metadata, tracked, training_set
from llm_assets.models.pipes import in_child
from llm_assets.models.settings import FineTuneSpec
from llm_assets.stages import Stages
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
        config=config_of(f"training of {spec.id}", settings.training, without=("pool",)),
    )
    def tuned_model(
        context: dg.AssetExecutionContext, platform: PlatformResource, accelerator: AcceleratorResource
    ) -> dg.MaterializeResult:
        with stages.leased(context, platform, accelerator, settings.training.pool) as (opened, held):
            rows = training_set.load_training_set(opened, spec)
            run, started = fine_tune.open_run(opened, of_run(spec, "training", context), rows), time.monotonic()
            trained = not run.finished
            with tracked.training(opened, spec, run, context.run_id) as told:
                if trained:
                    in_child(
                        context,
                        held.start,
                        lambda start, each: fine_tune.train(run, spec, rows, start=start, each=told.beside(each)),
                    )
            fine_tune.remember_run(opened, spec, run)
            documents = fine_tune.remember_documents(opened, spec, run, rows)
            seconds = time.monotonic() - started if trained else 0.0
            return dg.MaterializeResult(
                data_version=dg.DataVersion(run.version),
                metadata={**metadata.of_tuned_model(run, trained, seconds, documents), **held.metadata(), **tracked.where(opened)},
            )

    return tuned_model
