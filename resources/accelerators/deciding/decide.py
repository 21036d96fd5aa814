"""Who gets what now: a pure function of the state and the time."""

from __future__ import annotations

import heapq
import math

from resources.accelerators.deciding.decision import Decision, Grant, Preemption
from resources.accelerators.deciding.fairness import Standing
from resources.accelerators.deciding.offers import lapsed
from resources.accelerators.deciding.preemption import take_back
from resources.accelerators.deciding.queue import Key, Line
from resources.accelerators.deciding.reservations import Reservation, reserve
from resources.accelerators.deciding.state import State
from resources.accelerators.placement.candidates import candidates
from resources.accelerators.placement.fit import host_part, on_trial, shares_of
from resources.accelerators.placement.need import Need
from resources.accelerators.placement.policy import Candidate, Policy
from resources.accelerators.placement.trial import Trial, trial
from resources.accelerators.requests import Waiting


def decide(state: State, now: float, policy: Policy) -> Decision:
    """Grants, offers, reservations and pre-emptions that follow from the state; the state stays as it is.

    The requests are walked in order. One that fits is placed and holds its room against all behind it; one that does
    not has devices kept for it. Whoever is like one that did not fit is passed over without a look, so the work
    grows with the number of different requests and not with their number.
    """
    state.queue.advance(now)
    with trial(state.room) as changes:
        return _Walk(state, now, policy, changes).decision()


class _Walk:
    def __init__(self, state: State, now: float, policy: Policy, changes: Trial) -> None:
        self.state, self.now, self.policy, self.changes = state, now, policy, changes
        self.room = state.room
        self.standing = Standing(state)
        self.below = set(self.standing.below)
        self.grants: list[Grant] = []
        self.offered: list[str] = []
        self.reservations: dict[str, Reservation] = {}
        self.preemptions: tuple[Preemption, ...] = ()
        self.held_by_queued = 0
        self.unfit: set[Need] = set()  # nothing that is not kept for others holds these
        self.reserved: set[Need] = set()
        self.too_long: dict[Need, float] = {}  # the shortest that could not slip in

    def decision(self) -> Decision:
        """Walk, and gather what was decided."""
        order = self.standing.order(self.state.queue)
        self._walk()
        kept = {name: reservation.devices for name, reservation in self.reservations.items()}
        return Decision(tuple(self.grants), tuple(self.offered), kept, self.preemptions, order)

    def _walk(self) -> None:
        """The heads of all lines stand in a heap; one that is settled gives its place to the next of its line."""
        lines, waiting = self.state.queue.lines, self.state.waiting
        heads: list[tuple[bool, Key, int, Line]] = [
            (line.tenant not in self.below, keys[0], 0, line) for line, keys in lines.items()
        ]
        heapq.heapify(heads)
        while heads:
            above, key, at, line = heads[0]
            if not above and line.tenant not in self.below:  # it has been given so much meanwhile
                heapq.heapreplace(heads, (True, key, at, line))
                continue
            first = waiting[key[3]]
            need = self.room.need(first.request, line.shape)
            if not self._is_hopeless(need, line.expected) and self._settle(first, need) and at + 1 < len(lines[line]):
                heapq.heapreplace(heads, (above, lines[line][at + 1], at + 1, line))
            else:
                heapq.heappop(heads)

    def _is_hopeless(self, need: Need, expected: float | None) -> bool:
        """Whether another one that needs this was looked at already, and nothing has changed for the better."""
        if need not in self.unfit or need not in self.reserved:
            return False
        return expected is None or expected >= self.too_long.get(need, math.inf)

    def _settle(self, waiting: Waiting, need: Need) -> bool:
        """Decide on one request; whether the next one of its line is worth a look."""
        is_lapsed = lapsed(waiting, self.now, self.state.rules)
        candidate = self._place(waiting, need)
        if candidate is not None:
            return self._placed(waiting, need, candidate, is_lapsed)
        if is_lapsed:
            return True
        if need not in self.reserved:
            self._keep(waiting, need)
        return False

    def _place(self, waiting: Waiting, need: Need) -> Candidate | None:
        if need not in self.unfit:
            found = candidates(self.room, need)
            if found:
                return self.policy.choose(found, waiting.request, self.state)
            self.unfit.add(need)
        return self._slip_in(waiting, need)

    def _slip_in(self, waiting: Waiting, need: Need) -> Candidate | None:
        """A place on devices that are kept for others, if it will be over before those can start."""
        expected = waiting.request.expected
        if expected is None or expected >= self.too_long.get(need, math.inf):
            return None
        until = self.now + expected
        later = [r for r in self.reservations.values() if r.start is not None and r.start >= until]
        candidate = None
        if later:
            with trial(self.room) as opened:
                for reservation in later:
                    opened.show(reservation.hides)
                found = candidates(self.room, need)
                candidate = self.policy.choose(found, waiting.request, self.state) if found else None
        if candidate is None:
            self.too_long[need] = expected
        return candidate

    def _placed(self, waiting: Waiting, need: Need, candidate: Candidate, is_lapsed: bool) -> bool:
        if waiting.stage == "queued" and not is_lapsed:
            if self.held_by_queued >= self.state.rules.offers:
                return False
            self.held_by_queued += 1
        if waiting.stage == "claiming":
            shares = shares_of(candidate, need)
            memory = sum(share.memory for share in shares)
            self.grants.append(Grant(waiting.id, shares, *host_part(self.room, candidate, waiting.request, memory)))
        else:
            self.offered.append(waiting.id)
        if not is_lapsed:
            self.changes.occupy(on_trial(waiting, candidate, need, self.now))
            tenant = waiting.request.tenant
            if tenant in self.below and self.standing.ratio(tenant) >= 1:
                self.below.discard(tenant)
        return True

    def _keep(self, waiting: Waiting, need: Need) -> None:
        """Keep devices for the first that needs this; for the very first that does not fit, take some back."""
        if (need.cpus or need.host_memory) and not self.state.possible(waiting.request):
            self.reserved.add(need)  # no host has so much: nothing is kept for what could never start
            return
        kept = waiting.reserved
        if not self.reserved and not self.preemptions:
            freed = take_back(self.state, waiting, need, self.now, self.policy)
            self.preemptions, kept = freed.preemptions, freed.devices or kept
        self.reserved.add(need)
        if need.count == 1 and len(self.reservations) >= self.state.rules.reservations:
            return
        reservation = reserve(self.room, need, kept, self.now)
        if reservation is not None:
            self.reservations[waiting.id] = reservation
            self.changes.hide(reservation.hides)
            self.changes.withhold(reservation.hosts)
