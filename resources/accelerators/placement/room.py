"""Who is where: the devices with what lies on them, indexed by how much more they take.

Devices that are alike in all that a request can ask for form a `Bucket`; within it, sorted lists answer "which has
at least this much free" and "which link group has this many free devices" without a look at the others.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from resources.accelerators.devices import Device, Host, Kind
from resources.accelerators.placement.need import ACCELERATORS, CPU, Need, mismatch
from resources.accelerators.placement.slots import Bucket, Group, Holding, HostUse, Order, Part, Slot
from resources.accelerators.requests import Request

MOST_SHAPES = 20_000  # that are remembered; requests of ever new sizes must not fill the memory


class Room:
    """All devices and hosts with what is taken of them."""

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self.hosts: dict[str, HostUse] = {}
        self.groups: dict[str, dict[str, Group]] = {level: {} for level in ("nvlink", "host", "rdma", "site", "all")}
        self.by_count: dict[str, list[tuple[int, str]]] = {level: [] for level in self.groups}
        self.children: dict[str, set[str]] = {}
        self.tenants: dict[str, dict[str, int]] = {}
        self._buckets: dict[object, Bucket] = {}
        self._reach: dict[str, dict[object, Bucket]] = {}
        self._needs: dict[object, Need] = {}
        self._admissible: dict[Need, list[Bucket]] = {}
        self._capacity: dict[str, int] | None = None
        self._indexed = False  # all rows are read first: a device that is leased anyway is not indexed as free

    # ---- devices and hosts

    def put_device(self, device: Device) -> None:
        """Add or replace a device. Nothing may lie on it, unless only its state or foreign memory changes."""
        slot = self.slots.setdefault(device.id, Slot(device.id))
        if self.only_state_differs(device):
            slot.device = device
            self._capacity = None
            self._reindex(slot)
            return
        if slot.device is not None:
            self._detach(slot, slot.device)
        slot.device, slot.order = device, (device.host, device.index, device.id)
        slot.bucket = self._bucket(device)
        slot.bucket.members += 1
        if device.parent:
            self.children.setdefault(device.parent, set()).add(device.id)
        self._count(device, 1)
        self._forget()
        self._reindex_family(slot)

    def drop_device(self, device_id: str) -> None:
        """Forget a device. Nothing may lie on it."""
        slot = self.slots.get(device_id)
        if slot is not None and slot.device is not None:
            self._detach(slot, slot.device)
            del self.slots[device_id]
            self._forget()

    def only_state_differs(self, device: Device) -> bool:
        """Whether the device is known and nothing but its state or foreign memory is new."""
        slot = self.slots.get(device.id)
        old = slot.device if slot is not None else None
        return (
            old is not None
            and replace(old, foreign=device.foreign, state=device.state, reason=device.reason) == device
        )

    def put_host(self, host: Host) -> None:
        """Add or replace a host."""
        self.host(host.name).host = host

    def host(self, name: str) -> HostUse:
        """What is taken of a host."""
        use = self.hosts.get(name)
        if use is None:
            use = self.hosts[name] = HostUse()
        return use

    def _bucket(self, device: Device) -> Bucket:
        key = _like(device)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(device)
            self._reach.setdefault(_reach(device), {})[key] = bucket
        return bucket

    def _detach(self, slot: Slot, device: Device) -> None:
        self._unplace(slot)
        self._count(device, -1)
        key, bucket = _like(device), self._buckets[_like(device)]
        bucket.members -= 1
        if not bucket.members:
            del self._buckets[key], self._reach[_reach(device)][key]
        slot.device = slot.bucket = None
        if device.parent:
            self.children[device.parent].discard(device.id)
            if not self.children[device.parent]:
                del self.children[device.parent]
        for relative in (device.parent, *sorted(self.children.get(device.id, ()))):
            if relative in self.slots:
                self._reindex(self.slots[relative])

    def _count(self, device: Device, sign: int) -> None:
        use = self.host(device.host)
        if device.kind == "cpu":
            use.cpu_ids.add(device.id) if sign > 0 else use.cpu_ids.discard(device.id)
            return
        use.tpus += sign * (device.kind == "tpu")
        if not device.parent:
            use.accelerator_memory += sign * device.memory

    def _forget(self) -> None:
        self._needs.clear()
        self._admissible.clear()
        self._capacity = None

    # ---- what a request needs, and which buckets could meet it

    def need(self, request: Request, shape: tuple[object, ...] | None = None) -> Need:
        """The need of a request, whose shape may be at hand; the same one for all that the same devices meet."""
        shape = shape or request.shape
        need = self._needs.get(shape)
        if need is None:
            kinds = frozenset((request.kind,)) if request.kind else self._kinds(request.launcher)
            restricted = any(bucket.sample.tenants is not None for bucket in self._buckets.values())
            key = (*shape[:-2], kinds, request.launcher, request.tenant if restricted else None)
            need = self._needs.get(key) or Need.of(request, kinds)
            if len(self._needs) > MOST_SHAPES:
                self._forget()
            self._needs[key] = self._needs[shape] = need
        return need

    def _kinds(self, launcher: str) -> frozenset[Kind]:
        return ACCELERATORS if any(b.sample.kind != "cpu" for b in self.buckets(launcher)) else CPU

    def buckets(self, launcher: str) -> Iterator[Bucket]:
        """Buckets of the devices that a launcher reaches."""
        yield from self._reach.get(launcher, {}).values()
        if launcher:
            yield from self._reach.get("", {}).values()

    def capacity(self) -> dict[str, int]:
        """Usable bytes of all devices by kind; a MIG instance counts with its device."""
        if self._capacity is None:
            totals: dict[str, int] = {}
            for slot in self.slots.values():
                device = slot.device
                if device is not None and device.state != "lost" and not self._parent(device):
                    totals[device.kind] = totals.get(device.kind, 0) + device.memory
            self._capacity = totals
        return self._capacity

    # ---- what is taken

    def occupy(self, holding: Holding) -> None:
        """Put a lease, or a placement on trial, onto its devices."""
        for device_id, part in holding.parts:
            slot = self.slots.setdefault(device_id, Slot(device_id))
            slot.parts[holding.id] = part
            self._add(slot, part, 1)
        self._add_host(holding, 1)

    def vacate(self, holding: Holding) -> None:
        """Take it off again."""
        for device_id, part in holding.parts:
            slot = self.slots[device_id]
            del slot.parts[holding.id]
            self._add(slot, part, -1)
            if slot.device is None and not slot.parts:
                del self.slots[device_id]
        self._add_host(holding, -1)

    def _add(self, slot: Slot, part: Part, sign: int) -> None:
        slot.used += sign * part.memory
        slot.compute += sign * part.compute
        slot.whole += sign * part.whole
        self._account(slot, part, sign)
        device = slot.device
        if device is not None and (device.parent or device.id in self.children):
            self._reindex_family(slot)
        else:
            self._reindex(slot)

    def _add_host(self, holding: Holding, sign: int) -> None:
        if not (holding.hard_cpus or holding.hard_memory or holding.cpus or holding.memory):
            return
        for name, number in self._hosts_of(holding):
            use, total = self.host(name), len(holding.parts)
            use.hard_cpus += sign * -(-holding.hard_cpus * number // total)
            use.hard_memory += sign * -(-holding.hard_memory * number // total)
            use.cpus += sign * (holding.cpus * number // total)
            use.memory += sign * (holding.memory * number // total)
            if holding.hard_memory:
                self._reindex_cpus(name)

    def _hosts_of(self, holding: Holding) -> list[tuple[str, int]]:
        # By the orders that the devices had: a device that is gone still counts where it was.
        numbers: dict[str, int] = {}
        for device_id, _ in holding.parts:
            slot = self.slots.get(device_id)
            host = slot.order[0] if slot is not None else ""
            numbers[host] = numbers.get(host, 0) + 1
        return list(numbers.items())

    def _reindex_cpus(self, host: str) -> None:
        for device_id in self.host(host).cpu_ids:
            self._reindex(self.slots[device_id])

    def _account(self, slot: Slot, part: Part, sign: int) -> None:
        device = slot.device
        if device is None:
            return
        held = self.tenants.setdefault(part.tenant, {})
        held[device.kind] = held.get(device.kind, 0) + sign * part.memory
        if device.kind == "cpu":
            self.host(device.host).cpu_devices += sign * part.memory

    # ---- devices kept for somebody

    def family(self, device_id: str) -> Iterable[str]:
        """A device with its physical device and its instances: one lease on any of them excludes the others."""
        slot = self.slots.get(device_id)
        parent = slot.device.parent if slot is not None and slot.device is not None else None
        return (device_id, *((parent,) if parent in self.slots else ()), *sorted(self.children.get(device_id, ())))

    def hide(self, device_ids: Iterable[str], sign: int = 1) -> None:
        """Let nobody have these devices; with sign −1 let them be had again."""
        for device_id in device_ids:
            slot = self.slots[device_id]
            slot.hidden += sign
            # Who looks among the busy ones skips what is hidden; leaving them where they are saves half of the work.
            if slot.place is None or slot.place[0] != "busy":
                self._reindex(slot)

    def withhold(self, host: str, sign: int = 1) -> None:
        """Let nobody have cores or main memory of a host by number; with sign −1 let them be had again."""
        self.host(host).withheld += sign

    # ---- index

    def _parent(self, device: Device) -> Slot | None:
        parent = self.slots.get(device.parent) if device.parent else None
        return parent if parent is not None and parent.device is not None else None

    def relatives(self, device: Device) -> list[Slot]:
        """Its physical device and its instances, as far as they are leased."""
        kin = [self._parent(device), *(self.slots[child] for child in self.children.get(device.id, ()))]
        return [slot for slot in kin if slot is not None and slot.parts]

    def free(self, slot: Slot) -> int:
        """Bytes of a device that are not taken, by leases or by processes without one."""
        device = slot.device
        if device is None or slot.whole:
            return 0
        left = device.memory - device.foreign - slot.used
        if device.kind == "cpu":
            left -= self.host(device.host).hard_memory
        return max(left, 0)

    def _reindex_family(self, slot: Slot) -> None:
        for device_id in self.family(slot.id):
            self._reindex(self.slots[device_id])

    def prepare(self) -> None:
        """Index what has been put so far; from then on the index follows each change."""
        if not self._indexed:
            self._indexed = True
            for slot in sorted(self.slots.values(), key=lambda slot: slot.order):
                self._reindex(slot)

    def _reindex(self, slot: Slot) -> None:
        if not self._indexed:
            return
        place = self._place_of(slot)
        if place != slot.place:
            self._unplace(slot)
            self._place(slot, place)

    def _place_of(self, slot: Slot) -> tuple[str, Any] | None:
        device = slot.device
        if device is None or device.state != "ok" or slot.hidden:
            return None
        ends = [part.end for part in slot.parts.values()]
        relatives = self.relatives(device) if device.parent or device.id in self.children else ()
        if relatives:
            ends += [part.end for relative in relatives for part in relative.parts.values()]
        if not ends:
            return ("empty", self.free(slot))
        if slot.whole or relatives or not device.shareable:
            return ("busy", max(ends))
        return ("partial", (self.free(slot), max(ends)))

    def _place(self, slot: Slot, place: tuple[str, Any] | None) -> None:
        slot.place = place
        self._index(slot, 1)

    def _unplace(self, slot: Slot) -> None:
        self._index(slot, -1)
        slot.place = None

    def _index(self, slot: Slot, sign: int) -> None:
        """Put a slot's entries into its bucket's lists; with sign −1 take them out."""
        place, bucket = slot.place, slot.bucket
        if place is None or bucket is None:
            return
        for entries, entry in _entries(bucket, place, slot.order):
            insort(entries, entry) if sign > 0 else _remove(entries, entry)
        if place[0] == "empty":
            self._regroup(slot, bucket, sign)

    def _regroup(self, slot: Slot, bucket: Bucket, sign: int) -> None:
        device, order = slot.device or bucket.sample, slot.order
        _shift(bucket.groups, bucket.tight, device.nvlink or device.id, order, sign)
        for level, groups in self.groups.items():
            name = group_name(device, level)
            if name is None:
                continue
            group = groups.get(name)
            if group is None:
                group = groups[name] = Group()
            members = group.empty.get(bucket)
            if members is None:
                members = group.empty[bucket] = []
            counts = self.by_count[level]
            if group.count:
                _remove(counts, (group.count, name))
            group.count += sign
            if group.count:
                insort(counts, (group.count, name))
            insort(members, order) if sign > 0 else _remove(members, order)
            if len(members) <= 1:
                group.kinds = frozenset(kind for kind, orders in group.empty.items() if orders)

    # ---- candidates' view

    def admissible(self, need: Need) -> list[Bucket]:
        """Buckets whose devices could serve in meeting the need."""
        found = self._admissible.get(need)
        if found is None:
            buckets = self.buckets(need.request.launcher)
            found = self._admissible[need] = [b for b in buckets if mismatch(b.sample, need) is None]
        return found


def group_name(device: Device, level: str) -> str | None:
    """The group that a device belongs to on a level: a kind of link, its host, or `all`."""
    if level == "nvlink":
        return device.nvlink
    if level == "host":
        return device.host
    if level == "rdma":
        return device.rdma
    return device.site if level == "site" else ""


def _reach(device: Device) -> str:
    return "" if device.pretended else device.host


def _like(device: Device) -> object:
    part = device.parent is not None
    return (_reach(device), device.kind, device.model, part, device.memory, device.shareable, device.tenants)


def _entries(bucket: Bucket, place: tuple[str, Any], order: Order) -> tuple[tuple[list[Any], Any], ...]:
    """The lists that a slot stands in, with what stands for it there."""
    kind, value = place
    if kind == "busy":
        return ((bucket.busy, (value, order)),)
    if kind == "partial":
        return (bucket.partial, (value[0], order)), (bucket.busy, (value[1], order))
    return ((bucket.empty, (value, order)),)


def _remove(entries: list[Any], entry: Any) -> None:
    del entries[bisect_left(entries, entry)]


def _shift(groups: dict[str, list[Order]], tight: list[tuple[int, str]], name: str, order: Order, sign: int) -> None:
    members = groups.setdefault(name, [])
    if members:
        _remove(tight, (len(members), name))
    insort(members, order) if sign > 0 else _remove(members, order)
    if members:
        insort(tight, (len(members), name))
