"""The placements that would meet a need now."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from resources.accelerators.devices import Device
from resources.accelerators.placement.gangs import gangs
from resources.accelerators.placement.need import MILLIONTHS, Need, nonsense
from resources.accelerators.placement.policy import Candidate
from resources.accelerators.placement.room import Room
from resources.accelerators.placement.slots import Bucket, Order, Slot


def candidates(room: Room, need: Need) -> list[Candidate]:
    """All that fits now; of devices that are alike and have as much free, the first stands for all."""
    if nonsense(need.request):
        return []
    if need.count == 1 and not need.request.linked:
        return [found for bucket in room.admissible(need) for found in _single(room, bucket, need)]
    return [gang for gang in gangs(room, need) if _host_allows(room, gang.devices, need)]


def _single(room: Room, bucket: Bucket, need: Need) -> list[Candidate]:
    size = need.each(1)
    found = [] if need.whole else _levels(room, bucket, bucket.partial, need, size)
    fresh = _levels(room, bucket, bucket.empty, need, size)
    if fresh and (tight := _in_tightest_group(room, bucket, need, size)):
        fresh.append(tight)
    return found + fresh


def _levels(room: Room, bucket: Bucket, entries: list[tuple[int, Order]], need: Need, size: int) -> list[Candidate]:
    found: list[Candidate] = []
    at = bisect_left(entries, (size,))
    while at < len(entries):
        free, order = entries[at]
        slot = room.slots[order[2]]
        if slot.device is not None and admits(room, slot, slot.device, need):
            found.append(_candidate(bucket, slot.device, order, free, need, size, entries is bucket.empty))
            at = bisect_right(entries, (free, LAST), at)
        else:
            at += 1
    return found


LAST: Order = ("\U0010ffff", 0, "")  # behind every device


def _in_tightest_group(room: Room, bucket: Bucket, need: Need, size: int) -> Candidate | None:
    for _, name in bucket.tight:
        for order in bucket.groups[name]:
            slot = room.slots[order[2]]
            if slot.device is not None and room.free(slot) >= size and admits(room, slot, slot.device, need):
                return _candidate(bucket, slot.device, order, room.free(slot), need, size, True)
    return None


def _candidate(
    bucket: Bucket, device: Device, order: Order, free: int, need: Need, size: int, fresh: bool
) -> Candidate:
    left = len(bucket.groups[device.nvlink or device.id]) - 1 if fresh else 0
    return Candidate((device,), (device.memory if need.whole else free) - size, left, (order,))


def admits(room: Room, slot: Slot, device: Device, need: Need) -> bool:
    """Whether what a device has beside its memory, and its host, suffice for a need of one device."""
    if need.compute and slot.compute + need.compute > MILLIONTHS:
        return False
    return _host_allows(room, (device,), need)


def _host_allows(room: Room, devices: tuple[Device, ...], need: Need) -> bool:
    if not (need.cpus or need.host_memory):
        return True
    hosts: dict[str, int] = {}
    for device in devices:
        hosts[device.host] = hosts.get(device.host, 0) + 1
    return all(host_shortage(room, name, need, number, len(devices)) is None for name, number in hosts.items())


def host_shortage(room: Room, name: str, need: Need, number: int, total: int) -> str | None:
    """What a host lacks for its part of a need, by the devices of it that are used; None: nothing."""
    use = room.host(name)
    if use.host is None or not (need.cpus or need.host_memory):
        return None
    if use.withheld:
        return f"host {name}: its free cores and main memory are kept for a request ahead"
    cores = round(use.host.cpus * MILLIONTHS) - use.hard_cpus
    if need.cpus and -(-need.cpus * number // total) > cores:
        return f"host {name} has {cores / MILLIONTHS:g} cores free, {need.cpus / MILLIONTHS:g} are asked for"
    memory = use.host.memory - use.hard_memory - use.cpu_devices
    if need.host_memory and -(-need.host_memory * number // total) > memory:
        return (
            f"host {name} has {memory / 1e9:.1f} GB of main memory free, {need.host_memory / 1e9:.1f} are asked for"
        )
    return None
