"""Whether a tenant is below its share: dominant-resource fairness over the memory of each kind of device.

Ghodsi et al., Dominant Resource Fairness, NSDI 2011; with weights: divided by the share that a tenant is entitled to.
"""

from __future__ import annotations

from itertools import compress
from operator import not_

from resources.accelerators.deciding.queue import Queue
from resources.accelerators.deciding.state import State


class Standing:
    """Which tenants are below their share. The tenants that are present share everything."""

    def __init__(self, state: State) -> None:
        self._room = state.room
        self._rules = state.rules
        holding = {tenant for tenant, held in state.room.tenants.items() if any(held.values())}
        present = holding | {line.tenant for line in state.queue.lines}
        self._all_shares = sum(self._rules.share(tenant) for tenant in sorted(present))
        self._present = len(present)
        self.below = frozenset(tenant for tenant in present if self.ratio(tenant) < 1)

    def ratio(self, tenant: str) -> float:
        """Its dominant share, divided by what it is entitled to: above 1 it has more than that."""
        capacity = self._room.capacity()
        held = self._room.tenants.get(tenant, {})
        dominant = max((size / capacity[kind] for kind, size in held.items() if capacity.get(kind)), default=0.0)
        return dominant * self._all_shares / self._rules.share(tenant)

    def order(self, queue: Queue) -> tuple[str, ...]:
        """Ids of all that wait, by standing and within it by rank."""
        if len(self.below) == self._present:
            return tuple(queue.ids)
        is_below = list(map(self.below.__contains__, queue.tenants))
        return (*compress(queue.ids, is_below), *compress(queue.ids, map(not_, is_below)))
