"""The queue as Dagster's daemon sees it: only the runs whose turn it is, page by page, in the ledger's order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from resources.accelerators.dagster_configuration import current
from resources.accelerators.dagster_instance import InstanceReference
from resources.accelerators.dagster_queue import CHUNK, queue_of
from resources.accelerators.dagster_requests import PRIORITY_TAG
from resources.accelerators.dagster_turns import Turn
from resources.accelerators.errors import AcceleratorError
from resources.config_errors import ConfigError

if TYPE_CHECKING:
    import dagster as dg

    GetRuns = Callable[..., Sequence[dg.DagsterRun]]

logger = logging.getLogger("llm_assets.accelerators")


class SeenQueue:
    """Answers the daemon's pages of one pass after the other from the order at the beginning of the pass."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = InstanceReference(instance)
        self._turns: list[Turn] | None = None
        self._told = ""

    def page(self, cursor: str | None, limit: int, get_runs: GetRuns) -> Sequence[dg.DagsterRun]:
        """At most `limit` runs after the run `cursor`; fewer only at the end of the queue."""
        if cursor is None:
            self._turns = self._begin()
        if self._turns is None:
            return self._unpooled(cursor, limit, get_runs)
        left = self._turns[self._place_after(cursor) :]
        found: list[dg.DagsterRun] = []
        for start in range(0, len(left), CHUNK):
            if len(found) >= limit:
                break
            found += _read(left[start : start + CHUNK], get_runs)
        return found[:limit]

    def _begin(self) -> list[Turn] | None:
        """None if the ledger cannot be asked."""
        try:
            queue = queue_of(self._instance())
            queue.refresh(0.2)
            self._told = ""
            return queue.turns()
        except (AcceleratorError, ConfigError) as error:
            if str(error) != self._told:
                logger.error("Runs in accelerators' pools stay queued until this is put right: %s", error)
                self._told = str(error)
            return None

    def _place_after(self, cursor: str | None) -> int:
        if cursor is None or self._turns is None:
            return 0
        return next((place for place, turn in enumerate(self._turns, 1) if turn.run_id == cursor), len(self._turns))

    def _unpooled(self, cursor: str | None, limit: int, get_runs: GetRuns) -> Sequence[dg.DagsterRun]:
        """The runs that can do without the ledger."""
        found: list[dg.DagsterRun] = []
        for run in _all_queued(cursor, limit, get_runs):
            if len(found) == limit:
                break
            if not _may_be_ours(run):
                found.append(run)
        return found


def _read(turns: Sequence[Turn], get_runs: GetRuns) -> list[dg.DagsterRun]:
    """The runs, without those that have left the queue; each with the priority of its place."""
    from dagster import DagsterRunStatus, RunsFilter

    filters = RunsFilter(run_ids=[turn.run_id for turn in turns], statuses=[DagsterRunStatus.QUEUED])
    runs = {run.run_id: run for run in get_runs(filters)}
    return [_with_priority(runs[turn.run_id], turn.priority) for turn in turns if turn.run_id in runs]


def _with_priority(run: dg.DagsterRun, priority: int) -> dg.DagsterRun:
    text = str(priority)
    return run if run.tags.get(PRIORITY_TAG, "0") == text else run.with_tags({**run.tags, PRIORITY_TAG: text})


def _all_queued(cursor: str | None, limit: int, get_runs: GetRuns) -> Iterator[dg.DagsterRun]:
    from dagster import DagsterRunStatus, RunsFilter

    while page := get_runs(RunsFilter(statuses=[DagsterRunStatus.QUEUED]), cursor, limit, None, True):
        yield from page
        cursor = page[-1].run_id


def _may_be_ours(run: dg.DagsterRun) -> bool:
    pools = run.run_op_concurrency
    if not pools or pools.has_unconstrained_root_nodes:
        return False
    try:
        return pools.root_key_counts.keys() <= current().pools.keys()
    except ConfigError:
        return True
