"""The asset that promotes what passes its gate."""

import dagster as dg

from llm_assets.models import fine_tune, metadata, promotion, tracked, training_set
from llm_assets.models.settings import FineTuneSpec
from llm_assets.stages import Stages
from resources.dagster_platform import PlatformResource


def promoted_model_asset(spec: FineTuneSpec, stages: Stages) -> dg.AssetsDefinition:
    key = stages.key("promoted_model")
    check = dg.AssetCheckSpec("gate", asset=key, description="Whether the newest tuned model may be promoted.")

    @stages.asset(
        "promoted_model",
        "The version that is to be used: the newest that passed the gate.",
        after=[stages.key("tuned_model"), stages.key("evaluation")],
        kinds={"huggingface", "mlflow"},
        version=[spec.settings.gate],
        checks=[check],
    )
    def promoted_model(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        with stages.hold(context, platform) as opened:
            rows = training_set.load_training_set(opened, spec)
            run = fine_tune.newest_run(opened, spec, rows)
            outcome = promotion.consider(opened, spec, run, rows, context.run.run_id)
            (context.log.info if outcome.decision.promote else context.log.warning)(f"{spec.id}: {outcome.summary}")
            version = outcome.promoted.version if outcome.promoted else "nothing promoted"
            return dg.MaterializeResult(
                data_version=dg.DataVersion(version),
                metadata={**metadata.of_promotion(outcome), **tracked.where(opened)},
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
