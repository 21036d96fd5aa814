"""What excludes a device from meeting a need now, in words."""

from __future__ import annotations

from resources.accelerators.devices import Device
from resources.accelerators.placement.candidates import host_shortage
from resources.accelerators.placement.need import MILLIONTHS, Need, mismatch
from resources.accelerators.placement.room import Room, group_name
from resources.accelerators.placement.slots import Slot
from resources.accelerators.units import shown_gb


def exclusion(device: Device, need: Need) -> str | None:
    """What excludes a device until an operator or its driver changes it; None: nothing."""
    if reason := mismatch(device, need):
        return reason
    if device.state == "ok":
        return None
    return f"is {device.state}" + (f": {device.reason}" if device.reason else "")


def shortage(room: Room, device: Device, need: Need) -> str | None:
    """What it lacks now, with figures; None: nothing, though a gang may find too few like it."""
    slot = room.slots[device.id]
    if relatives := room.relatives(device):
        return f"{', '.join(sorted(near.id for near in relatives))} of the same physical device is leased"
    if slot.whole:
        return "is held alone by another lease"
    if need.whole and slot.parts:
        return f"has {len(slot.parts)} shared leases; it is asked for alone"
    return _of_memory(room, slot, device, need) or _of_compute(slot, need) or _of_host(room, device, need)


def _of_memory(room: Room, slot: Slot, device: Device, need: Need) -> str | None:
    if need.count is None:
        return None
    free, size = room.free(slot), need.each(need.count)
    if free >= size:
        return None
    foreign = f", {shown_gb(device.foreign)} taken by processes without a lease" if device.foreign else ""
    return f"has {shown_gb(free)} free of {shown_gb(device.memory)}{foreign}; {shown_gb(size)} is asked for"


def _of_compute(slot: Slot, need: Need) -> str | None:
    left = (MILLIONTHS - slot.compute) / MILLIONTHS
    if need.compute <= MILLIONTHS - slot.compute:
        return None
    return f"has {left:.0%} of its compute free; {need.compute / MILLIONTHS:.0%} is asked for"


def _of_host(room: Room, device: Device, need: Need) -> str | None:
    return host_shortage(room, device.host, need, 1, need.count or 1)


def whole_shortage(room: Room, device: Device, need: Need) -> str:
    """Why a device that would do does not: its group is too small, or too few of it are free."""
    level = need.links[-1] if need.links else "all"
    name = group_name(device, level)
    if name is None:
        return f"is in no group linked by {level}"
    group = room.groups[level].get(name)
    free = [order for members in group.empty.values() for order in members] if group is not None else []
    total = sum(room.free(room.slots[order[2]]) for order in free)
    where = f"its {level} group '{name}' has" if need.links else "there are"
    number = f"{need.count} devices of " if need.count else ""
    return (
        f"is one of too few: {where} {len(free)} free devices with {shown_gb(total)}; "
        f"{number}{shown_gb(need.each(need.count or 1))} is asked for"
    )
