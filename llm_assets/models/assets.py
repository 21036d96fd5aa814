"""The assets of a fine-tune: read, call, write, report. The work is in the modules beside this one."""

import time
from pathlib import Path
from typing import Any

import dagster as dg

from llm_assets.components.checks import metric_checks, table_checks
from llm_assets.models import evaluation, fine_tune, metadata, promotion, training_set
from llm_assets.models.examples import read_content
from llm_assets.models.pipes import in_child
from llm_assets.models.settings import FineTuneSpec
from llm_assets.reporting import clear_failures
from llm_assets.stages import Stages
from resources.accelerators.resource import AcceleratorResource
from resources.dagster_platform import PlatformResource
from resources.digests import digest, digest_json


def fine_tune_definitions(spec: FineTuneSpec) -> dg.Definitions:
    """The assets and checks of a fine-tune."""
    stages = Stages("model", spec.tenant, spec.settings)
    makers = [_training_set, _tuned_model, _evaluation, _promoted_model]
    assets = [make(spec, stages) for make in makers]
    if spec.examples_file:
        assets.insert(0, _examples(spec, stages, spec.examples_file))
    return dg.Definitions(assets=assets, asset_checks=_checks(spec, stages))


def _examples(spec: FineTuneSpec, stages: Stages, file: Path) -> Any:
    @dg.observable_source_asset(**stages.common("examples", f"The examples of `{file.name}`."))
    def examples() -> dg.ObserveResult:
        with clear_failures(spec.id):
            content = read_content(file)
            return dg.ObserveResult(
                asset_key=stages.key("examples"),
                data_version=dg.DataVersion(digest(content)),
                metadata={"bytes": len(content)},
            )

    return examples


def _training_set(spec: FineTuneSpec, stages: Stages) -> dg.AssetsDefinition:
    data = spec.settings.data
    corpus = [dg.AssetKey([spec.tenant, data.corpus.corpus, "chunks"])] if data.corpus else []
    file = [stages.key("examples")] if data.examples else []

    @stages.asset(
        "training_set",
        "One row an example, without duplicates, to train on or held out.",
        after=[*file, *corpus],
        kinds={"python", "lance"},
        version=[training_set.CODE_VERSION, data],
    )
    def training_set_asset(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with stages.hold(context, platform) as opened:
            built = training_set.build_training_set(spec, lambda: training_set.corpus_chunks(opened, spec))
            training_set.store_training_set(opened, spec, built)
            if spec.examples_file:
                stages.observed(context, "examples", digest(read_content(spec.examples_file)))
            return dg.MaterializeResult(
                data_version=dg.DataVersion(built.digest), metadata=metadata.of_training_set(built)
            )

    return training_set_asset


def _tuned_model(spec: FineTuneSpec, stages: Stages) -> dg.AssetsDefinition:
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


def _evaluation(spec: FineTuneSpec, stages: Stages) -> dg.AssetsDefinition:
    pool = spec.settings.evaluation.pool

    @stages.asset(
        "evaluation",
        "Base model against tuned model on the held-out examples.",
        after=[stages.key("training_set"), stages.key("tuned_model")],
        kinds={"pytorch", "lance"},
        version=[evaluation.EVALUATOR_VERSION, spec.settings.evaluation.decisive],
        pool=pool,
    )
    def evaluation_asset(
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

    return evaluation_asset


def _promoted_model(spec: FineTuneSpec, stages: Stages) -> dg.AssetsDefinition:
    key = stages.key("promoted_model")
    check = dg.AssetCheckSpec("gate", asset=key, description="Whether the newest tuned model may be promoted.")

    @stages.asset(
        "promoted_model",
        "The version that is to be used: the newest that passed the gate.",
        after=[stages.key("tuned_model"), stages.key("evaluation")],
        kinds={"huggingface"},
        version=[spec.settings.gate],
        checks=[check],
    )
    def promoted_model(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with stages.hold(context, platform) as opened:
            rows = training_set.load_training_set(opened, spec)
            run = fine_tune.finished_run(opened, spec, rows)
            found = evaluation.judge(run, spec, rows)
            outcome = promotion.consider(opened.state, spec, run, found.metrics)
            (context.log.info if outcome.decision.promote else context.log.warning)(f"{spec.id}: {outcome.summary}")
            version = outcome.promoted.version if outcome.promoted else "nothing promoted"
            return dg.MaterializeResult(
                data_version=dg.DataVersion(version),
                metadata=metadata.of_promotion(outcome),
                check_results=[_gate(outcome)],
            )

    return promoted_model


def _gate(outcome: promotion.Outcome) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=outcome.decision.promote,
        check_name="gate",
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(outcome.decision.reasons),
    )


def _checks(spec: FineTuneSpec, stages: Stages) -> list[dg.AssetChecksDefinition]:
    tests = spec.settings.tests
    found = table_checks(
        stages.key("training_set"),
        tests.training_set,
        lambda platform: training_set.training_set_table(platform, spec),
    )
    found += metric_checks(
        stages.key("evaluation"),
        tests.evaluation,
        lambda platform: evaluation.latest_metrics(platform.state, spec.tenant, spec.name),
    )
    return found
