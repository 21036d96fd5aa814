"""How far Dagster has come with a source: what was started for it, and whether everything behind it is up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
import sqlalchemy as sa

from llm_assets.corpora.documents import PASSING
from llm_assets.failures import OUTAGES, failure_of
from llm_assets.reexecution import SOURCE_TAG, is_retry
from llm_assets.stages import DATA_VERSION_TAG
from llm_assets.watching.deciding import Attempt, Fate
from resources import state_schema as schema

if TYPE_CHECKING:
    from llm_assets.watching.watched import Stage, Watched
    from resources.state import State

VERSION_TAG = "llm-assets/version"  # of the source for which a run was started
CODE_VERSION_TAG = "dagster/code_version"
INPUT_TAG, POINTER_TAG = "dagster/input_data_version", "dagster/input_event_pointer"
WHOLE = ""  # stands for the partition of an asset that has none
REMEMBERED = 12  # attempts that are looked at
FATES = {
    dg.DagsterRunStatus.SUCCESS: Fate.SUCCEEDED,
    dg.DagsterRunStatus.FAILURE: Fate.FAILED,
    dg.DagsterRunStatus.CANCELED: Fate.CANCELED,
}


def attempts(instance: dg.DagsterInstance, state: State, source: Watched) -> list[Attempt]:
    """The runs that were started for a source, newest first.

    Args:
        instance: the Dagster instance.
        state: why runs have failed, as the sensor of failed runs has noted it.
        source: whose.
    """
    records = instance.get_run_records(filters=dg.RunsFilter(tags={SOURCE_TAG: source.id}), limit=REMEMBERED)
    outages = _outages(instance, state, [record.dagster_run for record in records])
    return [
        Attempt(
            run_id=record.dagster_run.run_id,
            version=record.dagster_run.tags.get(VERSION_TAG, ""),
            fate=FATES.get(record.dagster_run.status, Fate.UNDER_WAY),
            ended=record.end_time or record.update_timestamp.timestamp(),
            outage=record.dagster_run.run_id in outages,
            retry=is_retry(record.dagster_run),
        )
        for record in records
    ]


def _outages(instance: dg.DagsterInstance, state: State, runs: Sequence[dg.DagsterRun]) -> set[str]:
    """Which of these runs have failed because of an outage."""
    failed = [run.run_id for run in runs if run.is_failure]
    if not failed:
        return set()
    table = schema.finished_runs
    asked = sa.select(table.c.run_id, table.c.kind).where(table.c.run_id.in_(failed))
    kinds = {row["run_id"]: row["kind"] for row in state.rows(asked)}
    if runs[0].is_failure and runs[0].run_id not in kinds:  # it has failed just now
        with suppress(Exception):  # a log that cannot be read stops no source
            kinds[runs[0].run_id] = failure_of(instance, runs[0]).kind
    return {run_id for run_id in failed if kinds.get(run_id) in OUTAGES}


def up_to_date(instance: dg.DagsterInstance, source: Watched, files_version: str) -> bool:
    """Whether every stage has read what the stage before it holds now, the first one the files as they are.

    It does not matter who started what: Dagster notes with each result what it was made from.

    Args:
        instance: the Dagster instance.
        source: with its stages. One in partitions is up to date when each of its partitions is.
        files_version: the data version of the listing.
    """
    chain = _Chain(source, files_version, {stage.key: _made(instance, stage) for stage in source.stages})
    return all(chain.fresh(stage) for stage in source.stages)


@dataclass(frozen=True)
class _Made:
    """The newest materialisation of an asset, or of one of its partitions."""

    id: int
    tags: Mapping[str, str]

    def input_version(self, key: dg.AssetKey) -> str | None:
        return self.tags.get(f"{INPUT_TAG}/{key.to_user_string()}")

    def had_seen(self, key: dg.AssetKey) -> int:
        """The newest materialisation of `key`, of whatever partition, when the step began."""
        pointer = self.tags.get(f"{POINTER_TAG}/{key.to_user_string()}", "")
        return int(pointer) if pointer.isdecimal() else -1


@dataclass(frozen=True)
class _Chain:
    source: Watched
    files_version: str
    made: Mapping[dg.AssetKey, Mapping[str, _Made]]

    def fresh(self, stage: Stage) -> bool:
        """Whether each of its partitions was made by today's code from what there is today."""
        made = self.made[stage.key]
        return all(name in made and self._current(stage, name, made[name]) for name in _names(stage))

    def _current(self, stage: Stage, name: str, made: _Made) -> bool:
        if made.tags.get(CODE_VERSION_TAG) != stage.code_version:
            return False
        return all(self._has_read(made, name, key) for key in stage.reads)

    def _has_read(self, made: _Made, name: str, key: dg.AssetKey) -> bool:
        if key == self.source.key:
            return made.input_version(key) == self.files_version
        parts = self.made.get(key, {})
        if parts.keys() <= {WHOLE}:
            return made.input_version(key) == (parts[WHOLE].tags.get(DATA_VERSION_TAG) if parts else None)
        # The input version that Dagster notes is of all partitions that one run has read together; another run may
        # since have made one of them again. So: nothing that was to be read came after it was read.
        read = [parts[name]] if name in parts else parts.values()
        return all(part.id <= made.had_seen(key) for part in read)


def _names(stage: Stage) -> tuple[str, ...]:
    return stage.partitions or (WHOLE,)


def _made(instance: dg.DagsterInstance, stage: Stage) -> Mapping[str, _Made]:
    """The newest materialisation of each partition that was ever made; of an asset without any, under WHOLE."""
    if not stage.partitions:
        record = next(iter(instance.fetch_materializations(stage.key, limit=1).records), None)
        return {WHOLE: _of_record(record)} if record else {}
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    newest = instance.event_log_storage.get_latest_storage_id_by_partition(stage.key, kind, set(stage.partitions))
    if not newest:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=stage.key, storage_ids=list(newest.values()))
    found = instance.fetch_materializations(wanted, limit=len(newest)).records
    return {str(record.partition_key): _of_record(record) for record in found}


def _of_record(record: dg.EventLogRecord) -> _Made:
    made = record.asset_materialization
    return _Made(record.storage_id, (made.tags or {}) if made else {})


def unread(state: State, source: Watched) -> list[float]:
    """When each file that could not be read was last tried, of those that may be readable without any change."""
    table, (tenant, corpus) = schema.documents, source.key.path[:2]
    passing = sa.select(table.c.updated_at).where(table.c.code.in_(PASSING))
    return [
        row["updated_at"] for row in state.rows(passing.where(table.c.tenant == tenant, table.c.corpus == corpus))
    ]


def observed(instance: dg.DagsterInstance, key: dg.AssetKey) -> str | None:
    """The data version of a source as it was last observed."""
    found = instance.get_latest_data_version_record(key)
    tags = found.event_log_entry.tags if found else None
    return tags.get(DATA_VERSION_TAG) if tags else None
