"""What a `Room` is made of: devices and hosts with what lies on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from resources.accelerators.devices import Device, Host

Order = tuple[str, int, str]  # host, index, id: the order of the inventory
End = tuple[int, float]  # (0, when it will end) or (1, when it began): known ends first, then the oldest


@dataclass(frozen=True, slots=True)
class Part:
    """What one lease, or a placement on trial, holds of one device. Compute in millionths."""

    memory: int
    compute: int
    whole: bool
    tenant: str
    end: End


@dataclass(frozen=True, slots=True)
class Holding:
    """What a lease, or a placement on trial, holds. Cores in millionths; `hard_…`: what was asked for by number."""

    id: str
    parts: tuple[tuple[str, Part], ...]
    hard_cpus: int = 0
    hard_memory: int = 0
    cpus: int = 0
    memory: int = 0


@dataclass(slots=True)
class HostUse:
    """What is taken of a host's cores (millionths) and main memory (bytes)."""

    host: Host | None = None
    hard_cpus: int = 0
    hard_memory: int = 0
    cpus: int = 0
    memory: int = 0
    cpu_devices: int = 0  # bytes leased as a CPU device
    cpu_ids: set[str] = field(default_factory=set)
    tpus: int = 0
    accelerator_memory: int = 0  # bytes of all its accelerators
    withheld: int = 0  # reservations that wait for cores or main memory of it


@dataclass(slots=True, eq=False)
class Bucket:
    """Devices that are alike in all that a request can ask for.

    Attributes:
        sample: one of them.
        members: how many there are.
        partial: (free bytes, order) of shared devices that take more.
        empty: (free bytes, order) of devices without a lease.
        groups: link group to the sorted orders of its devices without a lease.
        tight: (number of such devices, group), sorted.
        busy: (end of the last lease, order) of the others.
    """

    sample: Device
    members: int = 0
    partial: list[tuple[int, Order]] = field(default_factory=list)
    empty: list[tuple[int, Order]] = field(default_factory=list)
    groups: dict[str, list[Order]] = field(default_factory=dict)
    tight: list[tuple[int, str]] = field(default_factory=list)
    busy: list[tuple[End, Order]] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """Devices without a lease of one link group, by bucket."""

    count: int = 0
    empty: dict[Bucket, list[Order]] = field(default_factory=dict)
    kinds: frozenset[Bucket] = frozenset()  # the buckets that have some


@dataclass(slots=True, eq=False)
class Slot:
    """A device and what lies on it; kept while either exists."""

    id: str
    device: Device | None = None
    order: Order = ("", 0, "")
    bucket: Bucket | None = None
    parts: dict[str, Part] = field(default_factory=dict)
    used: int = 0
    compute: int = 0
    whole: int = 0
    hidden: int = 0
    place: tuple[str, Any] | None = None  # (list of its bucket, first element) under which it is indexed
