"""From a chosen placement to what it takes of devices and hosts."""

from __future__ import annotations

from resources.accelerators.leases import Share
from resources.accelerators.placement.need import MILLIONTHS, Need
from resources.accelerators.placement.policy import Candidate
from resources.accelerators.placement.room import Room
from resources.accelerators.placement.slots import Holding, Part
from resources.accelerators.requests import Request, Waiting


def shares_of(candidate: Candidate, need: Need) -> tuple[Share, ...]:
    """A shared device gives what is asked for; another one is held with all of its memory."""
    if need.whole:
        return tuple(Share(device.id, device.memory) for device in candidate.devices)
    device = candidate.devices[0]
    return (Share(device.id, need.each(1), need.compute / MILLIONTHS if need.compute else 1.0),)


def on_trial(waiting: Waiting, candidate: Candidate, need: Need, now: float) -> Holding:
    """What a request would hold there."""
    request = waiting.request
    end = (1, now) if request.expected is None else (0, now + request.expected)
    parts = tuple(
        (share.device, Part(share.memory, need.compute, need.whole, request.tenant, end))
        for share in shares_of(candidate, need)
    )
    return Holding("? " + waiting.id, parts, hard_cpus=need.cpus, hard_memory=need.host_memory)


def host_part(room: Room, candidate: Candidate, request: Request, memory: int) -> tuple[float, int]:
    """Cores and main memory for it: what was asked for, else in proportion to `memory`, as far as it is free."""
    cpus, main = request.cpus, request.host_memory
    if cpus is not None and main is not None:
        return cpus, main
    free_cpus, free_main = 0.0, 0
    for name in sorted({device.host for device in candidate.devices}):
        cores, size = _proportional(room, name, candidate, memory // len(candidate.devices))
        free_cpus, free_main = free_cpus + cores, free_main + size
    return (free_cpus if cpus is None else cpus), (free_main if main is None else main)


def _proportional(room: Room, name: str, candidate: Candidate, memory: int) -> tuple[float, int]:
    use = room.host(name)
    if use.host is None:
        return 0.0, 0
    devices = [device for device in candidate.devices if device.host == name]
    is_cpu = devices[0].kind == "cpu"
    total = devices[0].memory if is_cpu else use.accelerator_memory
    part = min(1.0, memory * len(devices) / total) if total else 1.0
    cores = min(use.host.cpus * part, max(0.0, use.host.cpus - use.cpus / MILLIONTHS))
    # A CPU device is main memory itself.
    free_main = 0 if is_cpu else max(0, use.host.memory - use.memory - use.cpu_devices)
    return cores, min(int(use.host.memory * part), free_main)
