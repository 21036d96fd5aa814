"""Several devices at once: all of them, in the tightest link group that holds them, or none."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from resources.accelerators.devices import Device
from resources.accelerators.placement.need import Need
from resources.accelerators.placement.policy import Candidate
from resources.accelerators.placement.room import Room
from resources.accelerators.placement.slots import Bucket, Group, Slot

TPU_COUNTS = (1, 2, 4, 8)  # chips of one host that can be used alone; above that only whole hosts


def gangs(room: Room, need: Need) -> list[Candidate]:
    """For each kind of group that holds the need, the tightest one; the strongest link that does is taken."""
    buckets = frozenset(room.admissible(need))
    for level in levels(need):
        found = _on_level(room, need, buckets, level)
        if found:
            return found
    return []


def levels(need: Need) -> tuple[str, ...]:
    """Where to look, the tightest first; devices without a link are best on one host all the same."""
    return need.links or ("nvlink", "host", "rdma", "site", "all")


def _on_level(room: Room, need: Need, buckets: frozenset[Bucket], level: str) -> list[Candidate]:
    found: list[Candidate] = []
    seen: set[frozenset[Bucket]] = set()
    by_count = room.by_count[level]
    for at in range(bisect_left(by_count, (need.count or 1,)), len(by_count)):
        group = room.groups[level][by_count[at][1]]
        if group.kinds in seen:
            continue
        kinds = group.kinds & buckets
        gang = _in_group(room, group, need, kinds) if kinds else []
        if gang:
            found += gang
        if gang or not kinds:
            seen.add(group.kinds)
    return found


def _in_group(room: Room, group: Group, need: Need, kinds: frozenset[Bucket]) -> list[Candidate]:
    """Devices of one model together; only where no model suffices, several models of a kind."""
    for mixes in (
        _alike(kinds, lambda device: (device.kind, device.model)),
        _alike(kinds, lambda device: device.kind),
    ):
        found: list[Candidate] = []
        for buckets in mixes:
            slots = [room.slots[order[2]] for bucket in buckets for order in group.empty[bucket]]
            if chosen := choose(room, slots, need, room.free):
                found.append(_candidate(chosen, need, group.count))
        if found:
            return found
    return []


def _alike(buckets: Iterable[Bucket], key: Callable[[Device], object]) -> list[list[Bucket]]:
    sets: dict[object, list[Bucket]] = {}
    for bucket in sorted(buckets, key=lambda bucket: (bucket.sample.kind, bucket.sample.model)):
        sets.setdefault(key(bucket.sample), []).append(bucket)
    return list(sets.values())


def _candidate(chosen: list[Slot], need: Need, free_devices: int) -> Candidate:
    slots = sorted(chosen, key=lambda slot: slot.order)
    devices = tuple(slot.device for slot in slots if slot.device is not None)
    spare = sum(device.memory for device in devices) - need.request.memory
    return Candidate(devices, spare, free_devices - len(devices), tuple(slot.order for slot in slots))


def choose(room: Room, slots: list[Slot], need: Need, room_of: Callable[[Slot], int]) -> list[Slot]:
    """The fewest of these devices that hold the need together, on as few hosts as possible; or none."""
    # Sorted by order: the answer may not depend on how the buckets came about.
    slots = sorted(slots, key=lambda slot: slot.order)
    usable = sorted(map(room_of, slots), reverse=True)
    for count in (need.count,) if need.count else range(1, len(slots) + 1):
        if count > len(usable) or usable[count - 1] < need.each(count):
            continue
        fitting = [slot for slot in slots if room_of(slot) >= need.each(count) and (count == 1 or _is_entire(slot))]
        if len(fitting) < count:
            continue
        chosen = _tpu_block(room, fitting, count) if _is_tpu(slots) else _compact(fitting, count)
        if chosen:
            return chosen
    return []


def choose_alike(room: Room, slots: list[Slot], need: Need, room_of: Callable[[Slot], int]) -> list[Slot]:
    """As `choose`, with the model of the newest of these devices alone, else with all of its kind."""
    newest = slots[-1].device
    of_kind = [slot for slot in slots if slot.device is not None and newest and slot.device.kind == newest.kind]
    of_model = [slot for slot in of_kind if slot.device is not None and newest and slot.device.model == newest.model]
    for same in (of_model, of_kind):
        if chosen := choose(room, same, need, room_of):
            return chosen
    return []


def _is_entire(slot: Slot) -> bool:
    """Not a MIG instance or vGPU: a process can use only one of these, and they are not linked."""
    return slot.device is not None and slot.device.parent is None


def _is_tpu(slots: list[Slot]) -> bool:
    return bool(slots) and slots[0].device is not None and slots[0].device.kind == "tpu"


def _by_host(slots: list[Slot]) -> dict[str, list[Slot]]:
    hosts: dict[str, list[Slot]] = {}
    for slot in sorted(slots, key=lambda slot: slot.order):
        hosts.setdefault(slot.order[0], []).append(slot)
    return hosts


def _compact(slots: list[Slot], count: int) -> list[Slot]:
    """From the host with the fewest that has enough; else from those with the most."""
    hosts = list(_by_host(slots).values())
    enough = [members for members in hosts if len(members) >= count]
    if enough:
        return min(enough, key=lambda members: (len(members), members[0].order))[:count]
    hosts.sort(key=lambda members: (-len(members), members[0].order))
    return [slot for members in hosts for slot in members][:count]


def _tpu_block(room: Room, slots: list[Slot], count: int) -> list[Slot]:
    """Chips that the runtime can use together: an aligned block of one host, or whole hosts."""
    hosts = _by_host(slots)
    if count in TPU_COUNTS:
        for members in sorted(hosts.values(), key=lambda members: (len(members), members[0].order)):
            blocks: dict[int, list[Slot]] = {}
            for slot in members:
                blocks.setdefault(slot.order[1] // count, []).append(slot)
            for block in sorted(blocks):
                if len(blocks[block]) == count:
                    return blocks[block]
    return _whole_hosts(room, hosts, count)


def _whole_hosts(room: Room, hosts: dict[str, list[Slot]], count: int) -> list[Slot]:
    chosen: list[Slot] = []
    for name, members in sorted(hosts.items()):
        if len(members) == room.host(name).tpus and len(chosen) + len(members) <= count:
            chosen += members
    return chosen if len(chosen) == count else []
