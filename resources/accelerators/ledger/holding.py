"""Who holds a lease: it is free when none of its holders lives. The first is the claimant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from resources.accelerators.deciding.state import State
from resources.accelerators.errors import LeaseLost
from resources.accelerators.leases import Lease
from resources.accelerators.ledger.liveness import alive
from resources.accelerators.ledger.transaction import Transaction
from resources.accelerators.requests import Process


def others(lease: Lease) -> tuple[Process, ...]:
    """Its holders without the claimant. A lease that was given back has only these left."""
    return lease.holders if lease.state == "ending" else lease.holders[1:]


def kept(lease: Lease) -> bool:
    """Whether a holder lives, or may live."""
    return any(alive(holder) is not False for holder in lease.holders)


def held(state: State, lease_id: str) -> Lease:
    """The lease. Raises LeaseLost if it is not held any more."""
    lease = state.leases.get(lease_id)
    if lease is None or lease.state == "ending":
        raise LeaseLost(
            f"lease {lease_id} is not held any more: it was given back or pre-empted, or its holders were dead. "
            "End its processes, and claim again"
        )
    return lease


def attach(transaction: Transaction, lease_id: str, process: Process) -> None:
    """Add a holder."""
    lease = held(transaction.state, lease_id)
    if process not in lease.holders:
        transaction.set_lease(replace(lease, holders=(*lease.holders, process)))


def detach(transaction: Transaction, lease_id: str, process: Process) -> None:
    """Take a holder off; the claimant stays until the lease is given back."""
    lease = transaction.state.leases.get(lease_id)
    if lease and process in others(lease):
        claimant = lease.holders[: len(lease.holders) - len(others(lease))]
        rest = tuple(holder for holder in others(lease) if holder != process)
        transaction.set_lease(replace(lease, holders=(*claimant, *rest)))


def join(transaction: Transaction, lease: Lease, claimant: Process) -> Lease:
    """The step's lease, asked for by another process: of the same run, or of a run that goes on after a crash."""
    if claimant in lease.holders:
        return lease
    first, *rest = lease.holders
    holders = (claimant, *rest) if alive(first) is False else (*lease.holders, claimant)
    joined = replace(lease, holders=holders)
    transaction.set_lease(joined)
    return joined


def give_back(transaction: Transaction, lease: Lease, by: Process, carried: Sequence[Process]) -> None:
    """Free it, or let it end when the last of its other holders and of the processes that carry its id are gone."""
    rest = tuple(holder for holder in others(lease) if holder != by)
    if carried or any(alive(holder) is not False for holder in rest):
        if (lease.state, lease.holders) != ("ending", rest):
            transaction.set_lease(replace(lease, state="ending", holders=rest))
    else:
        transaction.end_lease(lease, "released" if lease.preempt_at is None else "preempted")
