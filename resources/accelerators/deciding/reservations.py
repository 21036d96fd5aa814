"""Devices kept free for a request that does not fit yet.

As in EASY backfilling (Lifka, The ANL/IBM SP Scheduling System, 1995): who comes later may use them only if that
cannot delay the one they are kept for. Here the first request of each kind of need has devices of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge

from resources.accelerators.placement.gangs import choose_alike, levels
from resources.accelerators.placement.need import MILLIONTHS, Need, nonsense
from resources.accelerators.placement.room import Room, group_name
from resources.accelerators.placement.slots import Bucket, End, Order, Slot

LOOK_AT = 16  # devices that are compared for a share: a good one is enough


@dataclass(frozen=True, slots=True)
class Reservation:
    """Devices kept for a request; `start` is when they will be free, None: not known; `hides` what others miss."""

    devices: tuple[str, ...]
    start: float | None
    hides: tuple[str, ...]
    hosts: tuple[str, ...]


def reserve(room: Room, need: Need, kept: tuple[str, ...], now: float) -> Reservation | None:
    """The devices that were kept so far, if they still will do, else those that are free soonest; None: none left."""
    slots = still_good(room, need, kept) or soonest(room, need)
    if not slots:
        return None
    start: float | None = now
    for slot in slots:
        unknown, end = available(room, slot, need)
        start = None if unknown or start is None else max(start, end)
    if all(slot.place is not None and slot.place[0] == "empty" for slot in slots):
        start = None  # free, and yet it does not fit: it waits for something else, for cores
    ids = tuple(slot.id for slot in slots)
    hides = tuple(dict.fromkeys(name for device_id in ids for name in room.family(device_id)))
    by_number = need.cpus or need.host_memory or any(s.device is not None and s.device.kind == "cpu" for s in slots)
    hosts = tuple(sorted({slot.order[0] for slot in slots})) if by_number else ()
    return Reservation(ids, start, hides, hosts)


def still_good(room: Room, need: Need, kept: tuple[str, ...]) -> list[Slot]:
    """The slots of devices kept before, if nobody ahead has them and together they can meet the need."""
    slots = [slot for name in kept if (slot := room.slots.get(name)) is not None and not slot.hidden and slot.place]
    if not slots or len(slots) != len(kept) or nonsense(need.request):
        return []
    admissible = room.admissible(need)
    if any(slot.bucket not in admissible for slot in slots):
        return []
    if need.count is not None and len(slots) != need.count:
        return []
    if len({slot.device.kind for slot in slots if slot.device is not None}) != 1:
        return []  # what a gang never is: it would keep them for ever
    if any(slot.device is not None and _usable(slot) < need.each(len(slots)) for slot in slots):
        return []
    return slots if _together(slots, need) else []


def _together(slots: list[Slot], need: Need) -> bool:
    return not need.links or any(
        len({group_name(slot.device, level) if slot.device else None for slot in slots} - {None}) == 1
        and all(slot.device is not None and group_name(slot.device, level) for slot in slots)
        for level in need.links
    )


def soonest(room: Room, need: Need) -> list[Slot]:
    """The slots of the devices that will be free first, of one link group for a gang."""
    if nonsense(need.request):
        return []
    if need.count == 1 and not need.request.linked:
        return _soonest_single(room, need)
    for level in levels(need):
        if found := _soonest_gang(room, need, level):
            return found
    return []


def _soonest_single(room: Room, need: Need) -> list[Slot]:
    size, seen = need.each(1), 0
    best: tuple[End, Order, Slot] | None = None
    for slot in _by_end(room, need):
        if _usable(slot) < size:
            continue
        found = (available(room, slot, need), slot.order, slot)
        best = found if best is None or found[:2] < best[:2] else best
        seen += 1
        if need.whole or seen >= LOOK_AT:  # for whole devices they come in this very order
            break
    return [best[2]] if best else []


def _soonest_gang(room: Room, need: Need, level: str) -> list[Slot]:
    """Devices are gathered by group in the order in which they become free, until a group has enough."""
    gathered: dict[str, list[Slot]] = {}
    totals: dict[str, int] = {}
    for slot in _by_end(room, need):
        name = group_name(slot.device, level) if slot.device is not None else None
        if name is None:
            continue
        members = gathered.setdefault(name, [])
        members.append(slot)
        totals[name] = totals.get(name, 0) + _usable(slot)
        if len(members) < (need.count or 1) or totals[name] < need.request.memory:
            continue
        if chosen := choose_alike(room, members, need, _usable):
            return chosen
    return []


def _by_end(room: Room, need: Need) -> Iterator[Slot]:
    """Slots that nobody ahead has: the free ones, then the others in the order of their last lease's end."""
    buckets: list[Bucket] = room.admissible(need)
    for _, order in merge(*(bucket.empty for bucket in buckets)):
        yield room.slots[order[2]]
    for _, order in merge(*(bucket.busy for bucket in buckets)):
        slot = room.slots[order[2]]
        if not slot.hidden:
            yield slot


def _usable(slot: Slot) -> int:
    return slot.device.memory - slot.device.foreign if slot.device is not None else 0


def available(room: Room, slot: Slot, need: Need) -> End:
    """When a device will have room for the need: (0, time), or (1, …) if no end is known."""
    parts = list(slot.parts.values())
    device = slot.device
    relatives = room.relatives(device) if device is not None else []
    if need.whole or slot.whole or relatives or device is None:
        parts += [part for relative in relatives for part in relative.parts.values()]
        return max((part.end for part in parts), default=(0, 0.0))
    missing, compute = need.each(1) - room.free(slot), need.compute + slot.compute - MILLIONTHS if need.compute else 0
    end: End = (0, 0.0)
    for part in sorted(parts, key=lambda part: part.end):
        if missing <= 0 and compute <= 0:
            break
        missing, compute, end = missing - part.memory, compute - part.compute, part.end
    return end
