"""Dagster's pools, backed by the ledger: the storages that dagster.yaml names.

A pool that accelerators.yml describes asks the ledger; every other pool is Dagster's own. Opening an instance reads
no device and opens no ledger. The classes for PostgreSQL are in `dagster_pools_postgres`.

The classes lean on storage methods that Dagster does not promise to keep, and on these alone:
`tests/resources/accelerators/dagster` runs them under the real executors and the real daemon.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster import DagsterInvalidInvocationError
from dagster._core.storage.event_log.base import PoolLimit
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._serdes import ConfigurableClassData
from dagster._utils.concurrency import (
    ConcurrencyClaimStatus,
    ConcurrencyKeyInfo,
    ConcurrencySlotStatus,
    get_max_concurrency_limit_value,
)

from resources.accelerators import dagster_shown
from resources.accelerators.configuration import configuration_file
from resources.accelerators.dagster_claims import Claims
from resources.accelerators.dagster_configuration import current, current_ledger
from resources.accelerators.dagster_queue import queue_of
from resources.accelerators.dagster_seen import SeenQueue
from resources.dagster_storage import folder_of_target

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.storage.dagster_run import JobBucket, TagBucket

LIMITS_SECONDS = 1.0


class AcceleratorPools(SqlEventLogStorage):
    """The part of an event log storage that concerns pools; to be mixed in before one of Dagster's."""

    _claims_made: Claims | None = None
    _limits: tuple[float, Sequence[PoolLimit]] | None = None

    # --- what there is

    def get_concurrency_keys(self) -> set[str]:
        return set(super().get_concurrency_keys()) | current().pools.keys()

    def get_pool_limits(self) -> Sequence[PoolLimit]:
        """A claim is made only for a pool with a limit, so each of ours has one that is never reached."""
        pools, most = current().pools, get_max_concurrency_limit_value()
        others = [limit for limit in self._own_limits() if limit.name not in pools]
        return [*others, *(PoolLimit(name=name, limit=most, from_default=False) for name in pools)]

    def get_concurrency_info(self, concurrency_key: str) -> ConcurrencyKeyInfo:
        """For people: the UI and the command line ask for one pool at a time."""
        if concurrency_key not in current().pools:
            return super().get_concurrency_info(concurrency_key)
        ledger = current_ledger()
        return dagster_shown.for_people(concurrency_key, ledger.view(), ledger.startable(concurrency_key))

    def get_concurrency_infos(self, concurrency_keys: Sequence[str]) -> Mapping[str, ConcurrencyKeyInfo]:
        """For the daemon, which asks for several at once."""
        ours = [key for key in dict.fromkeys(concurrency_keys) if key in current().pools]
        others = [key for key in concurrency_keys if key not in ours]
        found = dict(super().get_concurrency_infos(others)) if others else {}
        if ours:
            queue = queue_of(self._instance)
            queue.refresh()
            state = current_ledger().view()
            found |= {key: dagster_shown.for_dequeuer(key, state, queue.expected_by_dequeuer(key)) for key in ours}
        return found

    def get_concurrency_run_ids(self) -> set[str]:
        found = set(super().get_concurrency_run_ids())
        if current().pools:
            state = current_ledger().view()
            found |= {lease.run_id for lease in state.leases.values()}
            found |= {waiting.run_id for waiting in state.waiting.values() if waiting.stage == "claiming"}
        return found

    # --- asking and giving back

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> ConcurrencyClaimStatus:
        if concurrency_key not in current().pools:
            return super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)
        lease = self._claims.claim(concurrency_key, run_id, step_key)
        return _status(concurrency_key, claimed=lease is not None)

    def check_concurrency_claim(self, concurrency_key: str, run_id: str, step_key: str) -> ConcurrencyClaimStatus:
        if concurrency_key not in current().pools:
            return super().check_concurrency_claim(concurrency_key, run_id, step_key)
        return _status(concurrency_key, claimed=current_ledger().lease_of(run_id, step_key) is not None)

    def free_concurrency_slot_for_step(self, run_id: str, step_key: str) -> None:
        ours = self._claims.holds(run_id, step_key)
        if not ours:
            super().free_concurrency_slot_for_step(run_id, step_key)
        if ours or current().pools:
            self._claims.free(run_id, step_key)

    def free_concurrency_slots_for_run(self, run_id: str) -> None:
        super().free_concurrency_slots_for_run(run_id)
        if current().pools:
            self._claims.free(run_id)

    # --- limits

    def initialize_concurrency_limit_to_default(self, concurrency_key: str) -> bool:
        self._limits = None
        return concurrency_key in current().pools or super().initialize_concurrency_limit_to_default(concurrency_key)

    def set_concurrency_slots(self, concurrency_key: str, num: int) -> None:
        _refuse_ours(concurrency_key)
        self._limits = None
        super().set_concurrency_slots(concurrency_key, num)

    def delete_concurrency_limit(self, concurrency_key: str) -> None:
        _refuse_ours(concurrency_key)
        self._limits = None
        super().delete_concurrency_limit(concurrency_key)

    # --- inside

    def _own_limits(self) -> Sequence[PoolLimit]:
        """Dagster's own. Claims that wait read them again several times a second: then they may be a second old."""
        now = time.monotonic()
        if self._limits is None or now - self._limits[0] > LIMITS_SECONDS or not self._claims.waited_within(1.0):
            self._limits = (now, super().get_pool_limits())
        return self._limits[1]

    @property
    def _claims(self) -> Claims:
        if self._claims_made is None:
            self._claims_made = Claims(self._instance)
        return self._claims_made


class RunsInTurn(SqlRunStorage):
    """The part of a run storage that shows the daemon the queue; to be mixed in before one of Dagster's."""

    _seen: SeenQueue | None = None

    def get_runs(
        self,
        filters: dg.RunsFilter | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        bucket_by: JobBucket | TagBucket | None = None,
        ascending: bool = False,
    ) -> Sequence[dg.DagsterRun]:
        """As Dagster's; but the daemon's own question, what is queued, is answered with the runs whose turn it is."""
        asks_daemon = ascending and bucket_by is None and limit is not None and _is_queued_only(filters)
        if not asks_daemon or not self.has_instance:
            return super().get_runs(filters, cursor, limit, bucket_by, ascending)
        if self._seen is None:
            self._seen = SeenQueue(self._instance)
        return self._seen.page(cursor, limit or 0, super().get_runs)


class SqlitePools(AcceleratorPools, SqliteEventLogStorage):
    """Event log of an instance on SQLite: `event_log_storage` in dagster.yaml."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> SqlitePools:
        with folder_of_target(config_value["base_dir"]) as folder:
            return cls(inst_data=inst_data, base_dir=folder)


class SqliteRuns(RunsInTurn, SqliteRunStorage):
    """Runs of an instance on SQLite: `run_storage` in dagster.yaml."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> SqliteRuns:
        with folder_of_target(config_value["base_dir"]) as folder:
            return cls.from_local(folder, inst_data=inst_data)


def _status(pool: str, *, claimed: bool) -> ConcurrencyClaimStatus:
    status = ConcurrencySlotStatus.CLAIMED if claimed else ConcurrencySlotStatus.BLOCKED
    # 0: the claim itself has waited. With more, the executor would spin until it has passed.
    return ConcurrencyClaimStatus(concurrency_key=pool, slot_status=status, sleep_interval=0.0)


def _is_queued_only(filters: dg.RunsFilter | None) -> bool:
    from dagster import DagsterRunStatus, RunsFilter

    return filters == RunsFilter(statuses=[DagsterRunStatus.QUEUED])


def _refuse_ours(pool: str) -> None:
    if pool in current().pools:
        raise DagsterInvalidInvocationError(
            f"pool '{pool}' has no number of slots: {configuration_file()} says what it asks for, under pools: {pool}"
        )
