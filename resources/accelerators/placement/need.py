"""A request made definite: which kinds of device will do, and how much each must hold."""

from __future__ import annotations

from dataclasses import dataclass

from resources.accelerators.devices import Device, Kind, Link
from resources.accelerators.errors import RequestError
from resources.accelerators.requests import Request
from resources.accelerators.units import shown_gb

ACCELERATORS: frozenset[Kind] = frozenset(("gpu", "tpu"))
CPU: frozenset[Kind] = frozenset(("cpu",))
LINKS: tuple[Link, ...] = ("nvlink", "rdma", "site")  # the strongest first
MILLIONTHS = 1_000_000  # shares of compute and cores are counted in whole millionths: sums must be exact


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """Compared by identity: a `Room` gives equal requests the same one.

    Attributes:
        request: one of those that need this.
        kinds: kinds of device that will do.
        count: number of devices; None: as few of one link group as hold the memory.
        compute, cpus: millionths that are asked for; 0: no condition.
        host_memory: bytes that are asked for; 0: no condition.
    """

    request: Request
    kinds: frozenset[Kind]
    count: int | None
    compute: int
    cpus: int
    host_memory: int

    @classmethod
    def of(cls, request: Request, kinds: frozenset[Kind]) -> Need:
        """What a request needs, given the kinds that will do."""
        return cls(
            request,
            kinds,
            count=request.devices or (None if request.linked else 1),
            compute=round((request.compute or 0) * MILLIONTHS) if request.share else 0,
            cpus=round((request.cpus or 0) * MILLIONTHS),
            host_memory=request.host_memory or 0,
        )

    @property
    def whole(self) -> bool:
        """Whether its devices are its own."""
        return not self.request.share

    def each(self, count: int) -> int:
        """Bytes that each of so many devices must hold."""
        return -(-self.request.memory // count)

    @property
    def links(self) -> tuple[Link, ...]:
        """Kinds of link group that will do, the strongest first."""
        return LINKS[: LINKS.index(self.request.linked) + 1] if self.request.linked else ()


def check_sense(request: Request) -> None:
    """Refuse a request that contradicts itself.

    Raises:
        RequestError: names the pool, the field and what is permitted.
    """
    if problem := nonsense(request):
        raise RequestError(f"pool '{request.pool}': {problem}")


def nonsense(request: Request) -> str | None:
    """What contradicts itself in a request, or None."""
    if request.memory <= 0:
        return f"memory is {shown_gb(request.memory)}; ask for more than nothing"
    if request.devices is not None and request.devices < 1:
        return f"devices is {request.devices}; ask for at least 1"
    if request.share and (request.linked or (request.devices or 1) > 1):
        return "share is for one device; leave out linked and devices, or share"
    if request.compute is not None and not (request.share and 0 < request.compute <= 1):
        return "compute is a part of a shared device, above 0 and at most 1; it goes with share"
    if (request.cpus or 0) < 0 or (request.host_memory or 0) < 0:
        return "cpus and host_memory cannot be negative"
    return None


def mismatch(device: Device, need: Need) -> str | None:
    """Why a device could never serve in meeting a need, however free it is; None: it could."""
    request = need.request
    if not device.pretended and device.host != request.launcher:
        return f"is on host {device.host}; the launcher reaches only {request.launcher or 'its own host'}"
    if device.kind not in need.kinds:
        return f"is a {device.kind}; {' or '.join(sorted(need.kinds))} is asked for"
    if request.models and device.model not in request.models:
        return f"is a {device.model}; {', '.join(sorted(request.models))} is asked for"
    if device.tenants is not None and request.tenant not in device.tenants:
        return f"is kept for {', '.join(sorted(device.tenants)) or 'nobody'}; the tenant is {request.tenant}"
    if request.share and not device.shareable:
        return "cannot be shared"
    if need.count is not None and need.count > 1 and device.parent is not None:
        return f"is a part of {device.parent}; {need.count} devices are asked for, and parts cannot be used together"
    if need.count is not None and need.each(need.count) > device.memory:
        part = " for each device" if need.count > 1 else ""
        return f"has {shown_gb(device.memory)}; {shown_gb(need.each(need.count))} is asked for{part}"
    return None
