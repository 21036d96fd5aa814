"""The tasks as assets of the group platform: their pages show what was removed, and when."""

from collections.abc import Callable

import dagster as dg

from llm_assets.accelerators_assets import KEY as ACCELERATORS
from llm_assets.overview.asset import KEY as OVERVIEW
from resources.dagster_platform import PlatformResource

NIGHTLY, WEEKLY = "nightly_maintenance", "weekly_maintenance"
UNTIL = "logs removed until"
PICTURES = 300  # of the overview and of the accelerators, some 60 KB each: a day of changes without a pause


def _task(name: str, description: str) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    return dg.asset(
        key=["platform", name],
        group_name="platform",
        kinds={"python"},
        tags={"stage": "maintenance"},
        description=description,
    )


@_task("old_runs", "Old runs of Dagster, their logs, and old pictures that were removed.")
def old_runs(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
    """Events that an asset's shown state comes from stay."""
    from llm_assets.maintenance.dagster_history import remove_old_logs, remove_old_pictures, remove_old_runs

    days = platform.open().profile.retention
    removed = remove_old_runs(context.instance, days.runs_days)
    logs, until = remove_old_logs(context.instance, days.logs_days, _logs_removed_until(context))
    told = {"runs removed": removed, "runs whose logs were removed": logs, UNTIL: dg.MetadataValue.timestamp(until)}
    pictures = sum(remove_old_pictures(context.instance, key, PICTURES) for key in (OVERVIEW, ACCELERATORS))
    return dg.MaterializeResult(metadata={**told, "pictures removed": pictures})


def _logs_removed_until(context: dg.AssetExecutionContext) -> float | None:
    """What the last run has said; None before the first one."""
    event = context.instance.get_latest_materialization_event(context.asset_key)
    said = event.asset_materialization.metadata.get(UNTIL) if event and event.asset_materialization else None
    return said.value if isinstance(said, dg.TimestampMetadataValue) else None


@_task("old_trainings", "Superseded trainings, removed.")
def old_trainings(platform: PlatformResource) -> dg.MaterializeResult:
    """Never what is promoted or can be rolled back to."""
    from llm_assets.maintenance.trainings import remove_old_trainings

    opened = platform.open()
    removed = remove_old_trainings(opened, opened.profile.retention.trainings_days)
    return dg.MaterializeResult(metadata={"trainings removed": len(removed), "folders": removed})


@_task("compaction", "Indexes, tidied.")
def compaction(platform: PlatformResource) -> dg.MaterializeResult:
    """Collections that no served state names are dropped."""
    from llm_assets.maintenance.indexes import compact

    tidied, dropped = compact(platform.open())
    return dg.MaterializeResult(metadata={"collections tidied": tidied, "collections dropped": dropped})


ASSETS = [old_runs, old_trainings, compaction]


def maintenance_jobs() -> list:
    """What the schedules of every night and week start."""
    return [
        dg.define_asset_job(NIGHTLY, dg.AssetSelection.assets(old_runs, old_trainings), description="Retention."),
        dg.define_asset_job(WEEKLY, dg.AssetSelection.assets(compaction), description="Compaction of the indexes."),
    ]
