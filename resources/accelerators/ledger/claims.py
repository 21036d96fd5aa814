"""Asking for devices, again and again until there is a lease."""

from __future__ import annotations

from dataclasses import replace

from resources.accelerators.deciding.explain import check_possible
from resources.accelerators.deciding.limits import check_limits
from resources.accelerators.errors import ImpossibleRequest
from resources.accelerators.leases import Lease
from resources.accelerators.ledger.holding import join, kept
from resources.accelerators.ledger.liveness import boot_clock, this_process
from resources.accelerators.ledger.reaping import RENEW_SECONDS
from resources.accelerators.ledger.rows import process_text
from resources.accelerators.ledger.store import Store
from resources.accelerators.ledger.visits import Visits
from resources.accelerators.requests import Process, Request, Waiting

# Many claimants wake at every change. What one wants to know is this, and not everything that has changed.
INVENTORY = "SELECT max(version) FROM devices"
GLANCE = (
    "SELECT (SELECT id FROM leases WHERE run_id = ? AND step_key = ? AND ended IS NULL AND state = 'held'), "  # noqa: S608
    "(SELECT claimant FROM waiting WHERE id = ? AND ended IS NULL AND stage = 'claiming'), "
    f"({INVENTORY})"
)


class Claims:
    """The claims that this process makes."""

    def __init__(self, store: Store, visits: Visits) -> None:
        self._store, self._visits = store, visits
        self._asked: dict[str, tuple[Request, int]] = {}  # what was asked for, and on which inventory
        self._shown: dict[str, float] = {}

    def claim(self, waiting: Waiting) -> Lease | None:
        """As `Ledger.claim`. A free device is granted before anything else is looked after."""
        claimant = waiting.claimant or this_process()
        waiting = replace(waiting, stage="claiming", claimant=claimant)
        check_limits(waiting.request, self._store.mirror.state.rules)
        lease = self._take(waiting, claimant)
        if lease is None and self._visits.visit():
            lease = self._take(waiting, claimant)
        if lease is not None:
            self._asked.pop(waiting.id, None)
            self._shown.pop(waiting.id, None)
        return lease

    def _take(self, waiting: Waiting, claimant: Process) -> Lease | None:
        with self._store.database.lock:
            if self._waits_as_before(waiting, claimant):
                self._show(waiting.id)
                return None
            with self._store.reading():
                lease = self._store.mirror.held(waiting.run_id, waiting.step_key)
            if lease and claimant in lease.holders:
                return lease
            if lease and not kept(lease):
                self._visits.reap()  # what an earlier process of this step has left is ended first
            self._check(waiting)
            return self._ask(waiting, claimant)

    def _waits_as_before(self, waiting: Waiting, claimant: Process) -> bool:
        """Whether this was asked before, nothing was granted, and the devices are the same."""
        asked = self._asked.get(waiting.id)
        if asked is None or asked[0] != waiting.request:
            return False
        seen = self._store.database.peek(GLANCE, (waiting.run_id, waiting.step_key, waiting.id))
        return seen == (None, process_text(claimant), asked[1])

    def _ask(self, waiting: Waiting, claimant: Process) -> Lease | None:
        """Join those that wait, or take what is held for this step already."""
        mirror = self._store.mirror
        with self._store.writing() as transaction:
            if lease := mirror.held(waiting.run_id, waiting.step_key):
                return join(transaction, lease, claimant)
            known = transaction.state.waiting.get(waiting.id)
            if known is None or _claim_of(known) != _claim_of(waiting):
                transaction.put_waiting(replace(waiting, reserved=known.reserved if known else ()))
            inventory = transaction.database.rows(INVENTORY)[0][0]
        self._asked[waiting.id] = waiting.request, inventory
        return mirror.held(waiting.run_id, waiting.step_key)

    def _check(self, waiting: Waiting) -> None:
        """A request that cannot be met is refused, and waits no more if it became so while it waited."""
        try:
            with self._store.reading() as state:
                check_possible(state, waiting.request)
        except ImpossibleRequest:
            with self._store.writing() as transaction:
                if waiting.id in transaction.state.waiting:
                    transaction.end_waiting(waiting.id, "withdrawn")
            raise

    def _show(self, waiting_id: str) -> None:
        """Show other hosts that the claimant of a request that waits lives."""
        if boot_clock() - self._shown.get(waiting_id, 0.0) > RENEW_SECONDS:
            with self._store.writing(settled=False) as transaction:
                transaction.database.run("UPDATE waiting SET beat = beat + 1 WHERE id = ?", (waiting_id,))
            self._shown[waiting_id] = boot_clock()


def _claim_of(waiting: Waiting) -> tuple[str, Process | None, Request]:
    return waiting.stage, waiting.claimant, waiting.request
