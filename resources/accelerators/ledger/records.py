"""What the ledger tells its callers besides devices, requests and leases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from resources.accelerators.devices import Device
from resources.accelerators.leases import Lease

Outcome = Literal["released", "died", "preempted", "expired"]


@dataclass(frozen=True, slots=True)
class Registration:
    """What registering a host's inventory has changed.

    Attributes:
        host: its name.
        added, changed: ids of devices that are new, or differ from what was registered.
        lost: ids of devices that were registered by this host, and that it does not have any more.
        leases: live leases on lost devices, or on devices that hold less than is leased on them.
        devices: what is registered by this host now.
    """

    host: str
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    leases: tuple[Lease, ...] = ()
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True)
class Reaped:
    """What cleaning up has found.

    Attributes:
        leases: ids of leases that were freed.
        waiting: ids of requests that were dropped because nobody asks for them any more.
        killed: pids of processes that had outlived their lease's holders, and were ended.
    """

    leases: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    killed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """A lease as the history keeps it.

    Attributes:
        lease: as it was last.
        ended: seconds since the epoch; None while it lives.
        outcome: `released`; `died`, its processes were gone; `preempted`; or `expired`, its host fell silent.
        peak_memory: the most bytes that its processes used together, if that was measured.
    """

    lease: Lease
    ended: float | None = None
    outcome: Outcome | None = None
    peak_memory: int | None = None

    @property
    def submitted(self) -> float:
        """Seconds since the epoch when it began to wait."""
        return self.lease.granted - self.lease.waited
