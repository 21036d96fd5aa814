"""The tasks as assets of the group platform: their pages show what was removed, and when."""

import dagster as dg

from resources.dagster_platform import PlatformResource

NIGHTLY, WEEKLY = "nightly_maintenance", "weekly_maintenance"
UNTIL = "logs removed until"


@dg.asset(key=["platform", "old_runs"], group_name="platform", description="Old runs of Dagster that were removed.")
def old_runs(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
    """Events that an asset's shown state comes from stay."""
    from llm_assets.maintenance.dagster_history import remove_old_logs, remove_old_runs

    days = platform.open().profile.retention
    removed = remove_old_runs(context.instance, days.runs_days)
    logs, until = remove_old_logs(context.instance, days.logs_days, _logs_removed_until(context))
    told = {"runs removed": removed, "runs whose logs were removed": logs, UNTIL: dg.MetadataValue.timestamp(until)}
    return dg.MaterializeResult(metadata=told)


def _logs_removed_until(context: dg.AssetExecutionContext) -> float | None:
    """What the last run has said; None before the first one."""
    event = context.instance.get_latest_materialization_event(context.asset_key)
    said = event.asset_materialization.metadata.get(UNTIL) if event and event.asset_materialization else None
    return said.value if isinstance(said, dg.TimestampMetadataValue) else None


@dg.asset(key=["platform", "old_trainings"], group_name="platform", description="Superseded trainings, removed.")
def old_trainings(platform: PlatformResource) -> dg.MaterializeResult:
    """Never what is promoted or can be rolled back to."""
    from llm_assets.maintenance.trainings import remove_old_trainings

    opened = platform.open()
    removed = remove_old_trainings(opened, opened.profile.retention.trainings_days)
    return dg.MaterializeResult(metadata={"trainings removed": len(removed), "folders": removed})


@dg.asset(key=["platform", "compaction"], group_name="platform", description="Indexes, tidied.")
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
