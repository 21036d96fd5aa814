"""The order of what waits within its tenant's standing: priority, deadline, age.

Waiting raises the priority in steps; a step moves one request in sorted lists, so that nothing is sorted anew.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import NamedTuple

from resources.accelerators.requests import Waiting

Key = tuple[int, float, float, str, str]  # priority as raised, negative; deadline; submitted; id; tenant
NOT_RANKED: Key = (0, 0.0, 0.0, "", "")
EARLY = 0.001  # seconds: a step is looked for a little early, for sums of floats are not exact


class Line(NamedTuple):
    """What decides what is done with a request, but for its place."""

    shape: tuple[object, ...]
    expected: float | None
    queued: bool
    tenant: str


@dataclass(slots=True)
class Entry:
    """A waiting request with its place."""

    waiting: Waiting
    line: Line
    key: Key


class Queue:
    """All that waits, sorted, and by line: requests of one line differ only in their place.

    Attributes:
        entries: by id.
        ranked: keys of all, the first one first.
        ids, tenants: theirs, in the same order.
        lines: line to the keys of its requests, the first one first.
    """

    def __init__(self, raise_seconds: float) -> None:
        self._raise_seconds = raise_seconds
        self._now = -math.inf
        self._last_step = -math.inf
        self._steps: list[tuple[float, str]] = []
        self.entries: dict[str, Entry] = {}
        self.ranked: list[Key] = []
        self.ids: list[str] = []
        self.tenants: list[str] = []
        self.lines: dict[Line, list[Key]] = {}

    def put(self, waiting: Waiting) -> None:
        """Add or replace a request."""
        if self._now == -math.inf:  # all rows are read first, and sorted at once
            self.entries[waiting.id] = Entry(waiting, line_of(waiting), NOT_RANKED)
            return
        old = self.entries.get(waiting.id)
        key, line = self._key(waiting), line_of(waiting)
        if old is not None and old.key == key and old.line == line:
            old.waiting = waiting
            return
        if old is not None:
            self._remove(old)
        self.entries[waiting.id] = entry = Entry(waiting, line, key)
        self._insert(entry)
        self._plan_step(waiting)

    def drop(self, waiting_id: str) -> None:
        """Forget a request."""
        entry = self.entries.pop(waiting_id)
        if entry.key is not NOT_RANKED:
            self._remove(entry)

    def advance(self, now: float) -> None:
        """Let it be `now`: raise what has waited another step. If the clock went back, place all anew."""
        if now < self._last_step or self._now == -math.inf:
            self._restart(now)
        self._now = now
        while self._steps and self._steps[0][0] <= now:
            _, waiting_id = heapq.heappop(self._steps)
            entry = self.entries.get(waiting_id)
            if entry is None:
                continue
            key = self._key(entry.waiting)
            if key != entry.key:
                self._remove(entry)
                entry.key = key
                self._insert(entry)
            self._plan_step(entry.waiting)

    def _restart(self, now: float) -> None:
        self._now, self._last_step = now, -math.inf
        entries = list(self.entries.values())
        for entry in entries:
            entry.key = self._key(entry.waiting)
        entries.sort(key=lambda entry: entry.key)
        self.ranked = [entry.key for entry in entries]
        self.ids, self.tenants = [key[3] for key in self.ranked], [key[4] for key in self.ranked]
        self.lines = {}
        for entry in entries:
            self.lines.setdefault(entry.line, []).append(entry.key)
        self._steps = [(self._next_step(entry.waiting), entry.waiting.id) for entry in entries]
        heapq.heapify(self._steps)

    def _level(self, waiting: Waiting) -> int:
        waited = self._now - waiting.submitted
        return math.floor(waited / self._raise_seconds) if waited > 0 and math.isfinite(waited) else 0

    def _key(self, waiting: Waiting) -> Key:
        request, level = waiting.request, self._level(waiting)
        if level:
            self._last_step = max(self._last_step, waiting.submitted + level * self._raise_seconds)
        deadline = math.inf if request.deadline is None else request.deadline
        return (-(request.priority + level), deadline, waiting.submitted, waiting.id, request.tenant)

    def _next_step(self, waiting: Waiting) -> float:
        due = waiting.submitted + (self._level(waiting) + 1) * self._raise_seconds - EARLY
        return max(due, math.nextafter(self._now, math.inf))

    def _plan_step(self, waiting: Waiting) -> None:
        heapq.heappush(self._steps, (self._next_step(waiting), waiting.id))
        if len(self._steps) > 4 * len(self.entries) + 64:  # what was dropped or replaced leaves its step behind
            self._steps = [(at, name) for at, name in self._latest_steps() if name in self.entries]
            heapq.heapify(self._steps)

    def _latest_steps(self) -> list[tuple[float, str]]:
        return [(at, name) for name, at in {name: at for at, name in sorted(self._steps, reverse=True)}.items()]

    def _insert(self, entry: Entry) -> None:
        at = bisect_left(self.ranked, entry.key)
        self.ranked.insert(at, entry.key)
        self.ids.insert(at, entry.key[3])
        self.tenants.insert(at, entry.key[4])
        insort(self.lines.setdefault(entry.line, []), entry.key)

    def _remove(self, entry: Entry) -> None:
        at = bisect_left(self.ranked, entry.key)
        del self.ranked[at], self.ids[at], self.tenants[at]
        line = self.lines[entry.line]
        del line[bisect_left(line, entry.key)]
        if not line:
            del self.lines[entry.line]


def line_of(waiting: Waiting) -> Line:
    """The line that a request stands in."""
    request = waiting.request
    return Line(request.shape, request.expected, waiting.stage == "queued", request.tenant)
