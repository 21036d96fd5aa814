"""A decision put into force: leases are made, offers and reservations noted, notices of pre-emption given."""

from __future__ import annotations

import uuid
from dataclasses import replace

from resources.accelerators.deciding.decide import decide
from resources.accelerators.deciding.decision import Decision, Grant
from resources.accelerators.deciding.offers import lapsed, offered_since
from resources.accelerators.leases import Lease
from resources.accelerators.ledger.liveness import alive
from resources.accelerators.ledger.transaction import Transaction
from resources.accelerators.placement.policy import Policy
from resources.accelerators.requests import Waiting


def settle(transaction: Transaction, policy: Policy) -> None:
    """Decide on the present state and write what follows. A dead claimant gets nothing, and waits no more."""
    decision = decide(transaction.state, transaction.now, policy)
    while dead := _dead(transaction, decision):
        for waiting_id in dead:
            transaction.end_waiting(waiting_id, "dropped")
        decision = decide(transaction.state, transaction.now, policy)
    for grant in decision.grants:
        _grant(transaction, grant)
    for preemption in decision.preemptions:
        _give_notice(transaction, preemption.lease_id)
    _note_kept(transaction, decision)


def _dead(transaction: Transaction, decision: Decision) -> list[str]:
    claimants = (
        (grant.waiting_id, transaction.state.waiting[grant.waiting_id].claimant) for grant in decision.grants
    )
    return [waiting_id for waiting_id, claimant in claimants if claimant and alive(claimant) is False]


def _grant(transaction: Transaction, grant: Grant) -> None:
    waiting = transaction.state.waiting[grant.waiting_id]
    lease = Lease(
        id=uuid.uuid4().hex,
        run_id=waiting.run_id,
        step_key=waiting.step_key,
        request=waiting.request,
        shares=grant.shares,
        granted=transaction.now,
        waited=max(0.0, transaction.now - waiting.submitted),
        asset=waiting.asset,
        holders=(waiting.claimant,) if waiting.claimant else (),
        cpus=grant.cpus,
        host_memory=grant.host_memory,
    )
    transaction.end_waiting(waiting.id, "granted")
    transaction.put_lease(lease)


def _give_notice(transaction: Transaction, lease_id: str) -> None:
    lease = transaction.state.leases[lease_id]
    if lease.preempt_at is None:
        at = transaction.now + transaction.state.rules.notice_seconds
        transaction.set_lease(replace(lease, preempt_at=at))


def _note_kept(transaction: Transaction, decision: Decision) -> None:
    offered, waiting = set(decision.offered), transaction.state.waiting
    marked = []
    for waiting_id in offered | transaction.mirror.marked | decision.reservations.keys():
        if known := waiting.get(waiting_id):
            kept = _offer(transaction, known, waiting_id in offered), decision.reservations.get(waiting_id, ())
            if kept != (known.offered, known.reserved):
                marked.append(replace(known, offered=kept[0], reserved=kept[1]))
    transaction.mark_waiting(marked)


def _offer(transaction: Transaction, waiting: Waiting, offered: bool) -> float | None:
    """Since when it is offered devices. One that lapsed is remembered: else it would be made anew at once."""
    rules, now = transaction.state.rules, transaction.now
    if offered:
        return offered_since(waiting, now, rules)
    return waiting.offered if lapsed(waiting, now, rules) else None
