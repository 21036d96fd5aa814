"""Leases and devices for the tests of visibility."""

from __future__ import annotations

from collections.abc import Mapping

from resources.accelerators.devices import Device
from resources.accelerators.leases import Lease, Share
from resources.accelerators.requests import Request
from resources.accelerators.units import GB


def gpu(uuid: str, index: int = 0, model: str = "h100-sxm-80", memory: int = 80 * GB) -> Device:
    return Device(uuid, "dgx", "gpu", model, memory, index)


def chips(count: int, host: str = "vm") -> list[Device]:
    return [Device(f"{host}/tpu{n}", host, "tpu", "tpu-v5e", 16 * GB, n, shareable=False) for n in range(count)]


def by_id(*devices: Device) -> Mapping[str, Device]:
    return {device.id: device for device in devices}


def lease(*devices: Device, memory: int | None = None, compute: float = 1.0, cpus: float = 0, ram: int = 0) -> Lease:
    """A lease of these devices; with `memory`, a share of each."""
    shares = tuple(Share(d.id, d.memory if memory is None else memory, compute) for d in devices)
    request = Request("pool", sum(s.memory for s in shares), share=memory is not None)
    return Lease("lease-1", "run", "step", request, shares, 0.0, cpus=cpus, host_memory=ram)
