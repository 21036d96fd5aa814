"""A pool as Dagster's concurrency page and its daemon want to see it: holders, waiters, and a count of slots.

Dagster counts slots; the ledger counts memory. So the count is derived: as many as are held, and as many more of this
pool's requests as may start now.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from resources.accelerators.leases import Lease
from resources.accelerators.requests import Waiting

if TYPE_CHECKING:
    from dagster._utils.concurrency import ConcurrencyKeyInfo, PendingStepInfo

    from resources.accelerators.deciding.state import State


def for_people(pool: str, state: State, startable: Sequence[Waiting]) -> ConcurrencyKeyInfo:
    """Holders and all waiters of a pool, those of queued runs included."""
    leases = _leases(pool, state)
    waiting = [row for row in state.waiting.values() if row.request.pool == pool]
    return _info(pool, leases, waiting, slots=len(leases) + len(startable))


def for_dequeuer(pool: str, state: State, expected: int) -> ConcurrencyKeyInfo:
    """The same, with the count from which Dagster's daemon takes all steps that hold, wait or are about to.

    Args:
        expected: slots that the daemon will count off for runs that start, or that may start now.
    """
    leases = _leases(pool, state)
    waiting = [row for row in state.waiting.values() if row.request.pool == pool and row.stage == "claiming"]
    return _info(pool, leases, waiting, slots=len(leases) + len(waiting) + expected)


def _leases(pool: str, state: State) -> list[Lease]:
    return [lease for lease in state.leases.values() if lease.request.pool == pool]


def _info(pool: str, leases: Sequence[Lease], waiting: Sequence[Waiting], slots: int) -> ConcurrencyKeyInfo:
    from dagster._utils.concurrency import ClaimedSlotInfo, ConcurrencyKeyInfo

    return ConcurrencyKeyInfo(
        concurrency_key=pool,
        slot_count=slots,
        claimed_slots=[ClaimedSlotInfo(run_id=lease.run_id, step_key=lease.step_key) for lease in leases],
        pending_steps=[*map(_holder, leases), *map(_waiter, waiting)],
        limit=slots,
        using_default_limit=False,
    )


def _holder(lease: Lease) -> PendingStepInfo:
    """Dagster lists a step that holds a slot among the pending ones too, as assigned."""
    from dagster._utils.concurrency import PendingStepInfo

    return PendingStepInfo(
        run_id=lease.run_id,
        step_key=lease.step_key,
        enqueued_timestamp=_time(lease.granted - lease.waited),
        assigned_timestamp=_time(lease.granted),
        priority=lease.request.priority,
    )


def _waiter(waiting: Waiting) -> PendingStepInfo:
    from dagster._utils.concurrency import PendingStepInfo

    return PendingStepInfo(
        run_id=waiting.run_id,
        step_key=waiting.step_key,
        enqueued_timestamp=_time(waiting.submitted),
        assigned_timestamp=None,
        priority=waiting.request.priority,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
