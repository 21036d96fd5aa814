"""Evaluates the conditions of `llm_assets.following`: models follow their data without a button."""

import dagster as dg

EVERY_SECONDS = 20  # a look costs the daemon some 50 ms; what follows takes minutes


def automation_sensors(defs: dg.Definitions) -> list[dg.SensorDefinition]:
    """The sensor over all assets with a condition; none where there are none."""
    specs = [spec for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition) for spec in asset.specs]
    keys = [spec.key for spec in specs if spec.automation_condition]
    if not keys:
        return []
    return [
        dg.AutomationConditionSensorDefinition(
            "models_follow",
            target=dg.AssetSelection.assets(*keys),
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=EVERY_SECONDS,
            description="Makes a training set again when its data has changed, and trains, examines and promotes "
            "when its rows have. A model that was never trained is trained by a person first.",
        )
    ]
