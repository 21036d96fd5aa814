"""What is decided: data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from resources.accelerators.leases import Share


@dataclass(frozen=True, slots=True)
class Grant:
    """Devices for a claiming request.

    Attributes:
        waiting_id: for whom.
        shares: what it gets of which device.
        cpus: cores of the host; what it asked for, else the proportional part as far as it is free.
        host_memory: bytes of main memory, likewise.
    """

    waiting_id: str
    shares: tuple[Share, ...]
    cpus: float
    host_memory: int


@dataclass(frozen=True, slots=True)
class Preemption:
    """A lease to be taken back for a request: its `preempt_at` becomes now + notice."""

    lease_id: str
    waiting_id: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a state at a moment.

    Attributes:
        grants: leases to be made, in order.
        offered: queued and starting requests that may start now, in order. Store `offered_since` with each; clear
            `offered` of those that are not among them, unless `lapsed`.
        reservations: request to the devices kept free for it; store them, so that they stay the same.
        preemptions: leases to be taken back.
        order: ids of all that wait, the next one first.
    """

    grants: tuple[Grant, ...] = ()
    offered: tuple[str, ...] = ()
    reservations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    preemptions: tuple[Preemption, ...] = ()
    order: tuple[str, ...] = ()
