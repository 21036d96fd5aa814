"""The rules of the queue in the form that deciding needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.accelerators.configuration import Accelerators

OFFERS = 32  # queued requests that hold devices at one time; Dagster starts about one run a second
RESERVATIONS = 8  # kinds of need of one device that have devices kept for them at one time; gangs always have
LAPSED_FACTOR = 10  # an offer that lapsed is made anew after this many times its duration


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of the queue. Times are seconds.

    Attributes:
        shares: tenant to its share; 1 for tenants that are not named.
        max_priorities: tenant to the highest priority that it may ask for; no limit for tenants that are not named.
        raise_priority_seconds: waiting so long raises the priority by one.
        offer_seconds: so long devices are kept for a queued run that Dagster does not start.
        preemption: whether preemptible leases may be taken back.
        notice_seconds: between the notice and the end of a lease that is taken back.
        minimum_seconds: younger leases are left alone.
        offers: the most queued requests that hold devices at one time.
        reservations: the most needs of a single device that have one kept for them; the others wait for their turn,
            which comes as waiting raises priority. Each more makes every decision slower.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    max_priorities: Mapping[str, int] = field(default_factory=dict)
    raise_priority_seconds: float = 600.0
    offer_seconds: float = 60.0
    preemption: bool = True
    notice_seconds: float = 60.0
    minimum_seconds: float = 300.0
    offers: int = OFFERS
    reservations: int = RESERVATIONS

    @classmethod
    def of(cls, accelerators: Accelerators) -> Rules:
        """The rules that `accelerators.yml` states."""
        tenants = accelerators.tenants
        return cls(
            shares={name: tenant.share for name, tenant in tenants.items()},
            max_priorities={name: tenant.max_priority for name, tenant in tenants.items()},
            raise_priority_seconds=accelerators.queue.raise_priority_minutes * 60,
            offer_seconds=accelerators.queue.offer_seconds,
            preemption=accelerators.preemption.enabled,
            notice_seconds=accelerators.preemption.notice_seconds,
            minimum_seconds=accelerators.preemption.minimum_minutes * 60,
        )

    def share(self, tenant: str) -> float:
        """What the tenant is entitled to, in proportion to the others."""
        return self.shares.get(tenant, 1.0)
