"""How far Dagster has come with a source: what was started for it, and whether everything behind it is up to date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.watching.deciding import Attempt, Fate

if TYPE_CHECKING:
    from dagster._core.storage.event_log.base import AssetEntry

    from llm_assets.watching.watched import Stage, Watched

# Tags of the runs that are started for a source; a retry has them too, since it takes over its run's tags.
SOURCE_TAG, VERSION_TAG = "llm-assets/source", "llm-assets/version"
DATA_VERSION_TAG, CODE_VERSION_TAG = "dagster/data_version", "dagster/code_version"
INPUT_TAG = "dagster/input_data_version"
REMEMBERED = 12  # attempts that are looked at
FATES = {
    dg.DagsterRunStatus.SUCCESS: Fate.SUCCEEDED,
    dg.DagsterRunStatus.FAILURE: Fate.FAILED,
    dg.DagsterRunStatus.CANCELED: Fate.CANCELED,
}


def attempts(instance: dg.DagsterInstance, source: Watched) -> list[Attempt]:
    """The runs that were started for a source, newest first."""
    records = instance.get_run_records(filters=dg.RunsFilter(tags={SOURCE_TAG: source.id}), limit=REMEMBERED)
    return [
        Attempt(
            run_id=record.dagster_run.run_id,
            version=record.dagster_run.tags.get(VERSION_TAG, ""),
            fate=FATES.get(record.dagster_run.status, Fate.UNDER_WAY),
            ended=record.end_time or record.update_timestamp.timestamp(),
        )
        for record in records
    ]


def up_to_date(instance: dg.DagsterInstance, source: Watched, files_version: str) -> bool:
    """Whether every stage has read what the stage before it holds now, the first one the files as they are.

    It does not matter who started what: Dagster notes with each result the data versions it was made from.

    Args:
        instance: the Dagster instance.
        source: with its stages.
        files_version: the data version of the listing.
    """
    keys = [stage.key for stage in source.stages]
    entries = {record.asset_entry.asset_key: record.asset_entry for record in instance.get_asset_records(keys)}
    made = {key: _tags(entry) for key, entry in entries.items()}
    held = {source.key: files_version} | {key: tags.get(DATA_VERSION_TAG) for key, tags in made.items()}
    return all(_fresh(stage, made.get(stage.key), held) for stage in source.stages)


def _fresh(stage: Stage, made: Mapping[str, str] | None, held: Mapping[dg.AssetKey, str | None]) -> bool:
    if not made or made.get(CODE_VERSION_TAG) != stage.code_version:
        return False
    return all(made.get(f"{INPUT_TAG}/{key.to_user_string()}") == held.get(key) for key in stage.reads)


def _tags(entry: AssetEntry) -> Mapping[str, str]:
    event = entry.last_materialization
    return (event.asset_materialization.tags or {}) if event and event.asset_materialization else {}


def observed(instance: dg.DagsterInstance, key: dg.AssetKey) -> str | None:
    """The data version of a source as it was last observed."""
    found = instance.get_latest_data_version_record(key)
    tags = found.event_log_entry.tags if found else None
    return tags.get(DATA_VERSION_TAG) if tags else None
