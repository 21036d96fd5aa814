"""Asking for devices, again and again until there is a lease."""

from __future__ import annotations

from dataclasses import replace

from resources.accelerators.deciding.explain import check_possible
from resources.accelerators.deciding.limits import check_limits
from resources.accelerators.deciding.state import State
from resources.accelerators.errors import ImpossibleRequest
from resources.accelerators.leases import Lease
from resources.accelerators.ledger.holding import join, kept
from resources.accelerators.ledger.liveness import boot_clock, this_process
from resources.accelerators.ledger.store import Store
from resources.accelerators.ledger.visits import Visits
from resources.accelerators.requests import Process, Waiting

SHOW_SECONDS = 15.0  # how often a request that waits shows other hosts that its claimant lives


class Claims:
    """The claims that this process makes."""

    def __init__(self, store: Store, visits: Visits) -> None:
        self._store, self._visits = store, visits
        self._possible: dict[str, int] = {}  # request to the inventory on which it was found possible
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
            self._possible.pop(waiting.id, None)
            self._shown.pop(waiting.id, None)
        return lease

    def _take(self, waiting: Waiting, claimant: Process) -> Lease | None:
        with self._store.reading() as state:
            lease = self._store.mirror.held(waiting.run_id, waiting.step_key)
            if lease and claimant in lease.holders:
                return lease
            if lease is None and self._waits_as_before(state, waiting):
                self._show(waiting.id)
                return None
            if lease and not kept(lease):
                self._visits.reap()  # what an earlier process of this step has left is ended first
            return self._ask(waiting, claimant)

    def _ask(self, waiting: Waiting, claimant: Process) -> Lease | None:
        """Join those that wait, or take what is held for this step already."""
        mirror = self._store.mirror
        with self._store.writing() as transaction:
            if lease := mirror.held(waiting.run_id, waiting.step_key):
                return join(transaction, lease, claimant)
            check_possible(transaction.state, waiting.request)
            self._possible[waiting.id] = mirror.inventory
            known = transaction.state.waiting.get(waiting.id)
            transaction.put_waiting(replace(waiting, reserved=known.reserved if known else ()))
        return mirror.held(waiting.run_id, waiting.step_key)

    def _waits_as_before(self, state: State, waiting: Waiting) -> bool:
        known = state.waiting.get(waiting.id)
        same = known is not None and (known.stage, known.claimant, known.request) == (
            waiting.stage,
            waiting.claimant,
            waiting.request,
        )
        if same and self._possible.get(waiting.id) != self._store.mirror.inventory:
            self._check_again(state, waiting)
        return same

    def _check_again(self, state: State, waiting: Waiting) -> None:
        """The inventory has changed: a request that became impossible is withdrawn, and refused."""
        try:
            check_possible(state, waiting.request)
        except ImpossibleRequest:
            with self._store.writing() as transaction:
                transaction.end_waiting(waiting.id, "withdrawn")
            raise
        self._possible[waiting.id] = self._store.mirror.inventory

    def _show(self, waiting_id: str) -> None:
        if boot_clock() - self._shown.get(waiting_id, 0.0) > SHOW_SECONDS:
            with self._store.writing(settled=False) as transaction:
                transaction.database.run("UPDATE waiting SET beat = beat + 1 WHERE id = ?", (waiting_id,))
            self._shown[waiting_id] = boot_clock()
