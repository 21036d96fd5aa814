"""Leases: which devices a step holds, and which processes keep them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from resources.accelerators.requests import Process, Request

LeaseState = Literal["held", "ending"]

LEASE_VARIABLE = "LLM_ASSETS_LEASE"  # in the environment of every process that works under a lease: its id


@dataclass(frozen=True, slots=True)
class Share:
    """What a lease holds of one device.

    Attributes:
        device: its id.
        memory: bytes; a device that is not shared is held with all of its memory.
        compute: share of its compute, 0 to 1.
    """

    device: str
    memory: int
    compute: float = 1.0


@dataclass(frozen=True, slots=True)
class Lease:
    """Devices that are held by one step.

    Attributes:
        id: unique for ever; stands in the environment of every process that works under it.
        run_id, step_key, asset: for whom.
        request: what was asked for.
        shares: what it holds; several devices are a gang.
        granted: seconds since the epoch.
        waited: seconds between asking and getting.
        holders: processes that keep it: it is free only when none of them, and no process that carries its id, lives.
        state: `ending`: given back or taken back, and processes of it may still live.
        preempt_at: seconds since the epoch when its processes are ended, if it is being pre-empted.
        cpus, host_memory: of the host, with it.
    """

    id: str
    run_id: str
    step_key: str
    request: Request
    shares: tuple[Share, ...]
    granted: float
    waited: float = 0.0
    asset: str = ""
    holders: tuple[Process, ...] = ()
    state: LeaseState = "held"
    preempt_at: float | None = None
    cpus: float = 0.0
    host_memory: int = 0

    @property
    def shared(self) -> bool:
        """Whether other leases may lie on its devices."""
        return self.request.share
