"""The runs in Dagster's queue as the ledger knows them: what their first steps ask for, and whose turn it is.

Dagster's daemon takes runs by priority and age and knows nothing of memory or links. So the ledger hears of every
queued run (`DagsterQueue.refresh`), and the daemon is shown only the runs that the ledger lets start (`turns`).
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dagster._core.storage.runs.sql_run_storage import SqlRunStorage

from resources.accelerators.configuration import Accelerators
from resources.accelerators.dagster_configuration import current, current_ledger
from resources.accelerators.dagster_instance import InstanceReference
from resources.accelerators.dagster_plans import Plans
from resources.accelerators.dagster_registration import ensure_registered
from resources.accelerators.dagster_requests import PRIORITY_TAG, int_or_zero, waiting_of
from resources.accelerators.dagster_turns import QueuedRun, Turn, turns
from resources.accelerators.deciding.limits import check_limits
from resources.accelerators.deciding.rules import Rules
from resources.accelerators.errors import AcceleratorError, ImpossibleRequest
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.requests import Stage, Waiting

if TYPE_CHECKING:
    import dagster as dg

    from resources.accelerators.deciding.state import State

EVERY_SECONDS = 1.0
STARTING_SECONDS = 30.0  # a worker that has not asked for so long is busy with something else: it keeps no place
CHUNK = 500  # SQLite permits few thousand variables in a statement
# Whatever is odd in one run's tags or plan is that run's trouble: the others' queue goes on.
ODDITIES = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


class DagsterQueue:
    """The queue of one Dagster instance. Threads may share it."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = InstanceReference(instance)
        self._source = _source(instance)
        self._lock = threading.Lock()
        self._plans = Plans()
        self._read_at = float("-inf")
        self._accelerators: Accelerators | None = None
        self._runs: dict[str, QueuedRun] = {}
        self._turns: list[Turn] = []
        self._starting: dict[str, int] = {}

    def refresh(self, seconds: float = EVERY_SECONDS) -> None:
        """Tell the ledger what is queued, unless this process did so less than `seconds` ago.

        Raises:
            LedgerError, ConfigError: the daemon then starts none of our runs; see `turns`.
        """
        with self._lock:
            if time.monotonic() - self._read_at < seconds:
                return
            self._read_at = time.monotonic()
            self._turns = []  # nothing starts where the ledger cannot be asked
            self._refresh()

    def turns(self) -> list[Turn]:
        """The queued runs that may start, in order, as of the last `refresh`."""
        with self._lock:
            return list(self._turns)

    def expected_by_dequeuer(self, pool: str) -> int:
        """How many slots of a pool the daemon will count off for runs that start, or are about to."""
        with self._lock:
            queued = sum(self._runs[turn.run_id].pools.get(pool, 0) for turn in self._turns)
            return queued + self._starting.get(pool, 0)

    # --- one refresh

    def _refresh(self) -> None:
        instance, accelerators = self._instance(), current()
        if accelerators is not self._accelerators:
            self._accelerators, self._runs = accelerators, {}
        self._read_queued(instance, accelerators)
        ours = [run for run in self._runs.values() if run.requests]
        records = _in_progress(instance)
        ledger = current_ledger()
        if ours:
            ensure_registered(ledger, accelerators)
        self._starting = _counted_as_starting(records)
        ledger.sync_queue(
            [waiting for run in ours for waiting in run.requests],
            self._started(instance, ledger, records, accelerators),
            alive_runs={record.dagster_run.run_id for record in records} | self._runs.keys() | _unstarted(instance),
            source=self._source,
        )
        offered = [waiting.run_id for waiting in ledger.startable() if waiting.stage == "queued"] if ours else []
        self._turns = turns(list(self._runs.values()), offered, self._let_through(ledger, ours, offered))

    def _read_queued(self, instance: dg.DagsterInstance, accelerators: Accelerators) -> None:
        """Bring `_runs`, oldest first, up to date. A queued run does not change: only new ones are read."""
        ids = list(reversed(instance.run_storage.get_run_ids(_status("QUEUED"))))
        new = [run_id for run_id in ids if run_id not in self._runs]
        read = {run.run_id: run for run in self._read(instance, accelerators, new)}
        known = self._runs | read
        self._runs = {run_id: known[run_id] for run_id in ids if run_id in known}

    def _read(
        self, instance: dg.DagsterInstance, accelerators: Accelerators, ids: Sequence[str]
    ) -> Iterable[QueuedRun]:
        from dagster import RunsFilter

        for start in range(0, len(ids), CHUNK):
            filters = RunsFilter(run_ids=list(ids[start : start + CHUNK]))
            for record in instance.run_storage.get_run_records(filters):
                submitted = record.create_timestamp.timestamp()
                yield self._queued_run(instance, record.dagster_run, submitted, accelerators)

    def _queued_run(
        self, instance: dg.DagsterInstance, run: dg.DagsterRun, submitted: float, accelerators: Accelerators
    ) -> QueuedRun:
        pools = run.run_op_concurrency
        counts = dict(pools.root_key_counts) if pools else {}
        unlimited = not pools or pools.has_unconstrained_root_nodes or not counts.keys() <= accelerators.pools.keys()
        priority = int_or_zero(run.tags.get(PRIORITY_TAG, "0"))
        if not counts.keys() & accelerators.pools.keys():
            return QueuedRun(run.run_id, priority, unlimited=True)
        try:
            requests = self._roots(instance, run, submitted, accelerators)
            rules = Rules.of(accelerators)
            for waiting in requests:
                check_limits(waiting.request, rules)
        except (AcceleratorError, *ODDITIES) as error:
            return QueuedRun(run.run_id, priority, unlimited, counts, refused=str(error))
        return QueuedRun(run.run_id, priority, unlimited, counts, requests)

    def _roots(
        self,
        instance: dg.DagsterInstance,
        run: dg.DagsterRun,
        submitted: float,
        accelerators: Accelerators,
        stage: Stage = "queued",
    ) -> tuple[Waiting, ...]:
        steps = self._plans.of(instance, run).steps.values()
        return tuple(
            waiting_of(
                instance,
                run,
                step.key,
                step.pool,
                submitted=submitted,
                stage=stage,
                accelerators=accelerators,
                plans=self._plans,
            )
            for step in steps
            if step.root and step.pool in accelerators.pools
        )

    def _started(
        self,
        instance: dg.DagsterInstance,
        ledger: Ledger,
        records: Sequence[dg.RunRecord],
        accelerators: Accelerators,
    ) -> list[Waiting]:
        """Requests of runs that were taken from the queue and have not asked yet."""
        now, state = time.time(), None
        found: list[Waiting] = []
        for record in records:
            status, run = record.dagster_run.status.value, record.dagster_run
            young = record.start_time is not None and now - record.start_time < STARTING_SECONDS
            if not run.run_op_concurrency or not (status == "STARTING" or (status == "STARTED" and young)):
                continue
            try:
                roots = self._roots(instance, run, record.create_timestamp.timestamp(), accelerators, "starting")
            except AcceleratorError:
                continue  # its claim will say so
            state = state or ledger.view()
            found += [waiting for waiting in roots if _not_asked(waiting, state, status)]
        return found

    def _let_through(self, ledger: Ledger, ours: Sequence[QueuedRun], offered: Sequence[str]) -> set[str]:
        """Runs that start although nothing is free: to be refused at once, or because their offer has run out."""
        first = set(offered)
        held_back = [run for run in ours if run.run_id not in first]
        if not held_back:
            return set()
        state = ledger.view()
        found: set[str] = set()
        impossible: dict[tuple[object, ...], bool] = {}
        for run in held_back:
            lapsed = any((row := state.waiting.get(waiting.id)) and row.offered for waiting in run.requests)
            if lapsed or any(_impossible(state, waiting, impossible) for waiting in run.requests):
                found.add(run.run_id)
        return found


def _not_asked(waiting: Waiting, state: State, status: str) -> bool:
    known = state.waiting.get(waiting.id)
    if known is not None:
        return known.stage != "claiming"
    # One that started may have asked, worked and ended since; one that is starting cannot.
    return status == "STARTING" and not any(
        (lease.run_id, lease.step_key) == (waiting.run_id, waiting.step_key) for lease in state.leases.values()
    )


def _impossible(state: State, waiting: Waiting, known: dict[tuple[object, ...], bool]) -> bool:
    from resources.accelerators.deciding.explain import check_possible

    shape = waiting.request.shape
    if shape not in known:
        try:
            check_possible(state, waiting.request)
            known[shape] = False
        except ImpossibleRequest:
            known[shape] = True
    return known[shape]


def _source(instance: dg.DagsterInstance) -> str:
    """What tells this instance's queue from another's in the same ledger; the same in all of its processes."""
    storage = instance.run_storage
    return storage.get_run_storage_id() if isinstance(storage, SqlRunStorage) else instance.root_directory


def _in_progress(instance: dg.DagsterInstance) -> Sequence[dg.RunRecord]:
    return instance.run_storage.get_run_records(_status("STARTING", "STARTED", "CANCELING"))


def _unstarted(instance: dg.DagsterInstance) -> set[str]:
    return set(instance.run_storage.get_run_ids(_status("NOT_STARTED")))


def _counted_as_starting(records: Sequence[dg.RunRecord]) -> dict[str, int]:
    """First steps that the daemon counts off, by pool: of runs that are starting or started in the last seconds."""
    import os

    allotted = int(os.getenv("DAGSTER_OP_CONCURRENCY_KEYS_ALLOTTED_FOR_STARTED_RUN_SECONDS", "5"))
    counts: dict[str, int] = {}
    for record in records:
        status, started = record.dagster_run.status.value, record.start_time
        young = status == "STARTED" and started is not None and time.time() - started < allotted
        pools = record.dagster_run.run_op_concurrency
        if pools and (status == "STARTING" or young):
            for pool, count in pools.root_key_counts.items():
                counts[pool] = counts.get(pool, 0) + count
    return counts


def _status(*names: str) -> dg.RunsFilter:
    from dagster import DagsterRunStatus, RunsFilter

    return RunsFilter(statuses=[DagsterRunStatus(name) for name in names])


_queues: weakref.WeakKeyDictionary[dg.DagsterInstance, DagsterQueue] = weakref.WeakKeyDictionary()
_queues_lock = threading.Lock()


def queue_of(instance: dg.DagsterInstance) -> DagsterQueue:
    """The queue of an instance; the daemon's two storages share it."""
    with _queues_lock:
        if instance not in _queues:
            _queues[instance] = DagsterQueue(instance)
        return _queues[instance]
