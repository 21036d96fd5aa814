"""Old runs and events of Dagster. A run that holds what the UI shows of an asset or a check stays, as it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import dagster as dg

DAY = 86400.0
AT_ONCE = 500  # rows of one statement
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def remove_old_runs(instance: dg.DagsterInstance, days: float) -> int:
    """Delete the runs that ended more than `days` ago, with events and logs. Returns how many."""
    shown, removed = shown_runs(instance), 0
    for run_id in _ended(instance, before=_ago(days)):
        if run_id not in shown:
            instance.compute_log_manager.delete_logs(prefix=[run_id])
            instance.delete_run(run_id)
            removed += 1
    return removed


def remove_old_logs(instance: dg.DagsterInstance, days: float, done_until: float | None) -> tuple[int, float]:
    """Delete the logs of runs that ended more than `days` ago; the runs stay.

    Args:
        instance: the Dagster instance.
        days: that logs are kept.
        done_until: what the last call returned; runs that ended before have no logs any more. None: look at all.

    Returns:
        Of how many runs, and until when, in seconds since the epoch.
    """
    until = _ago(days)
    old = _ended(instance, before=until, after=done_until)
    for run_id in old:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
    return len(old), until


def remove_old_pictures(instance: dg.DagsterInstance, key: dg.AssetKey, kept: int) -> int:
    """Delete what a sensor has reported of an asset, without a run, but for the newest `kept`. Returns how many."""
    storage = instance.event_log_storage
    if not hasattr(storage, "index_connection"):
        return 0
    import sqlalchemy as sa
    from dagster._core.instance.utils import RUNLESS_RUN_ID
    from dagster._core.storage.event_log.schema import AssetEventTagsTable as tags
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as events

    kind = dg.DagsterEventType.ASSET_MATERIALIZATION.value
    reported = (events.c.asset_key == key.to_string(), events.c.run_id == RUNLESS_RUN_ID)
    query = sa.select(events.c.id).where(*reported, events.c.dagster_event_type == kind)
    removed = 0
    # SQLite has each event twice: in the file of its run, and in that of all assets.
    for opened in (storage.run_connection(RUNLESS_RUN_ID), storage.index_connection()):  # pyright: ignore[reportAttributeAccessIssue]  (SQL storages)
        with opened as connection:
            ids = [row[0] for row in connection.execute(query.order_by(events.c.id.desc()).offset(kept))]
            for begin in range(0, len(ids), AT_ONCE):
                some = ids[begin : begin + AT_ONCE]
                connection.execute(sa.delete(tags).where(tags.c.event_id.in_(some)))
                connection.execute(sa.delete(events).where(events.c.id.in_(some)))
            removed = max(removed, len(ids))
    return removed


def shown_runs(instance: dg.DagsterInstance) -> set[str]:
    """The runs that hold the newest materialisation, of each partition, observation or check result of an asset."""
    storage, shown = instance.event_log_storage, set[str]()
    for record in instance.get_asset_records():
        entry = record.asset_entry
        key = entry.asset_key
        records = [entry.last_materialization_record, entry.last_observation_record]
        records += instance.fetch_observations(key, limit=1).records
        shown |= {found.event_log_entry.run_id for found in records if found}
        for kind in (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION):
            ids = list(storage.get_latest_storage_id_by_partition(key, kind).values())
            if ids:
                events = instance.get_event_records(dg.EventRecordsFilter(kind, asset_key=key, storage_ids=ids))
                shown |= {found.event_log_entry.run_id for found in events}
    return shown | _checked(instance)


def _checked(instance: dg.DagsterInstance) -> set[str]:
    """The runs of the newest result of each check that any kept asset has."""
    storage = instance.event_log_storage
    if not hasattr(storage, "index_connection"):
        return set()
    import sqlalchemy as sa
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as executions

    newest = sa.select(sa.func.max(executions.c.id)).group_by(executions.c.asset_key, executions.c.check_name)
    query = sa.select(executions.c.run_id).where(executions.c.id.in_(newest))
    with storage.index_connection() as connection:  # pyright: ignore[reportAttributeAccessIssue]  (SQL storages)
        return {row[0] for row in connection.execute(query) if row[0]}


def _ago(days: float) -> float:
    return time.time() - days * DAY


def _ended(instance: dg.DagsterInstance, before: float, after: float | None = None) -> list[str]:
    """The runs that ended between two moments, in seconds since the epoch."""
    moments = {
        "updated_before": datetime.fromtimestamp(before, UTC),
        "updated_after": None if after is None else datetime.fromtimestamp(after, UTC),
    }
    return [run.run_id for run in instance.get_runs(filters=dg.RunsFilter(statuses=ENDED, **moments))]
