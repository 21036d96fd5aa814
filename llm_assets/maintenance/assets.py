"""The tasks as assets of the group platform: their pages show what was removed, and when."""

import dagster as dg

from resources.dagster_platform import PlatformResource

NIGHTLY, WEEKLY = "nightly_maintenance", "weekly_maintenance"


@dg.asset(key=["platform", "old_runs"], group_name="platform", description="Old runs of Dagster that were removed.")
def old_runs(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
    """Events that an asset's shown state comes from stay."""
    from llm_assets.maintenance.dagster_history import remove_old_logs, remove_old_runs

    days = platform.open().profile.retention
    removed = remove_old_runs(context.instance, days.runs_days)
    logs = remove_old_logs(context.instance, days.logs_days)
    return dg.MaterializeResult(metadata={"runs removed": removed, "runs without logs": logs})


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
