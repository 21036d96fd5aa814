"""What a materialisation asks for, and its place among those that wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from resources.accelerators.devices import Kind, Link

Stage = Literal["queued", "starting", "claiming"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. Two requests of equal `shape` are met by the same devices.

    Attributes:
        pool: the named request it stems from.
        memory: bytes in total, over all its devices.
        devices: how many; None: as few as hold the memory, one unless `linked`.
        linked: the weakest link that all of its devices must share; None: no link is needed.
        share: whether other leases may lie on the same device; without it the devices are its own.
        compute: with `share`, the share of one device's compute that it needs, above 0 to 1; None: not limited.
        kind: gpu, tpu or cpu; None: an accelerator, or the CPU where the launcher reaches no accelerator.
        models: catalogue names that will do; empty: any.
        cpus: host cores; None: the host's proportional part, as far as it is free.
        host_memory: bytes of main memory; None: the proportional part, as far as it is free.
        priority: higher goes first.
        deadline: seconds since the epoch by which it should be finished; the tightest goes first within a priority.
        tenant: whose share it counts towards.
        preemptible: whether a higher priority may take its devices back.
        expected: seconds that it will probably hold them; None: unknown.
        launcher: the host whose launcher will start its processes: only devices that it reaches will do.
    """

    pool: str
    memory: int
    devices: int | None = None
    linked: Link | None = None
    share: bool = False
    compute: float | None = None
    kind: Kind | None = None
    models: frozenset[str] = field(default_factory=frozenset)
    cpus: float | None = None
    host_memory: int | None = None
    priority: int = 0
    deadline: float | None = None
    tenant: str = "default"
    preemptible: bool = False
    expected: float | None = None
    launcher: str = ""

    @property
    def shape(self) -> tuple[object, ...]:
        """Everything that decides which devices can meet it."""
        return (
            self.memory,
            self.devices,
            self.linked,
            self.share,
            self.compute,
            self.kind,
            self.models,
            self.cpus,
            self.host_memory,
            self.tenant,
            self.launcher,
        )


@dataclass(frozen=True, slots=True)
class Process:
    """A process on a host, named so that no later process is taken for it."""

    host: str
    boot_id: str
    pid: int
    started: int  # clock ticks after the boot, field 22 of /proc/<pid>/stat


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits.

    Attributes:
        run_id, step_key: which step of which run; both together name the request.
        request: what it asks for.
        submitted: seconds since the epoch when it was first asked for; kept when a step is tried again.
        stage: `queued`: its run is in Dagster's queue; `starting`: its run has been taken from the queue and has not
            asked yet; `claiming`: a live process asks for it.
        asset: what it materialises, for people.
        claimant: the process that asks, when `claiming`.
        offered: since when it could have been started; a queued run that Dagster does not start in time, because
            of a limit of its own, stops holding devices back for itself.
        reserved: devices that are kept free for it as they become so.
    """

    run_id: str
    step_key: str
    request: Request
    submitted: float
    stage: Stage
    asset: str = ""
    claimant: Process | None = None
    offered: float | None = None
    reserved: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`run/step`, unique in a ledger."""
        return f"{self.run_id}/{self.step_key}"
