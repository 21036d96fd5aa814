"""A mirror of the ledger's rows that decisions are made on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from resources.accelerators.deciding.queue import Queue
from resources.accelerators.deciding.rules import Rules
from resources.accelerators.devices import Device, Host
from resources.accelerators.leases import Lease
from resources.accelerators.placement.candidates import candidates
from resources.accelerators.placement.need import MILLIONTHS, Need, mismatch, nonsense
from resources.accelerators.placement.room import Room
from resources.accelerators.placement.slots import End, Holding, Part
from resources.accelerators.requests import Request, Waiting


class State:
    """Devices, hosts, leases and what waits; equal rows give equal decisions. Not for several threads at once.

    Attributes:
        rules: the rules of the queue.
        devices, hosts, waiting, leases: by id, to be read only.
        queue: what waits, in order.
        holdings: what the leases take, in the form of the room.
        preemptible: by priority, the leases that may be taken back.
        leaving: those that are ending or being taken back.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._room = Room()
        self.queue = Queue(rules.raise_priority_seconds)
        self._devices: dict[str, Device] = {}
        self._hosts: dict[str, Host] = {}
        self._waiting: dict[str, Waiting] = {}
        self._leases: dict[str, Lease] = {}
        self._holdings: dict[str, Holding] = {}
        self._empty: Room | None = None
        self._possible: dict[Need, bool] = {}
        self.preemptible: dict[int, dict[str, Lease]] = {}
        self.leaving: dict[str, Lease] = {}
        self.devices: Mapping[str, Device] = MappingProxyType(self._devices)
        self.hosts: Mapping[str, Host] = MappingProxyType(self._hosts)
        self.waiting: Mapping[str, Waiting] = MappingProxyType(self._waiting)
        self.leases: Mapping[str, Lease] = MappingProxyType(self._leases)
        self.holdings: Mapping[str, Holding] = MappingProxyType(self._holdings)

    @property
    def room(self) -> Room:
        """The devices with what lies on them, indexed."""
        self._room.prepare()
        return self._room

    def put_device(self, device: Device) -> None:
        """Add a device, or replace the one with its id."""
        old = self._devices.get(device.id)
        self._devices[device.id] = device
        if old is None or (old.state == "lost") != (device.state == "lost"):
            self._empty = None
        if self._room.only_state_differs(device):
            self._room.put_device(device)
            return
        self._empty = None
        moved = self._lift(device.id)
        self._room.put_device(device)
        self._lay(moved)

    def drop_device(self, device_id: str) -> None:
        """Forget a device; leases on it stay known, should it come back."""
        self._devices.pop(device_id, None)
        self._empty = None
        moved = self._lift(device_id)
        self._room.drop_device(device_id)
        self._lay(moved)

    def put_host(self, host: Host) -> None:
        """Add a host, or replace the one of its name."""
        self._hosts[host.name] = host
        self._empty = None
        self._room.put_host(host)

    def put_waiting(self, waiting: Waiting) -> None:
        """Add a waiting request, or replace the one with its id."""
        self._waiting[waiting.id] = waiting
        self.queue.put(waiting)

    def drop_waiting(self, waiting_id: str) -> None:
        """Forget a waiting request."""
        if self._waiting.pop(waiting_id, None) is not None:
            self.queue.drop(waiting_id)

    def put_lease(self, lease: Lease) -> None:
        """Add a lease, or replace the one with its id."""
        before = self._leases.get(lease.id)
        if before is not None and before.request.priority != lease.request.priority:
            self._preemptible(before).pop(lease.id, None)
        self._leases[lease.id] = lease
        _note(self._preemptible(lease), lease, lease.request.preemptible)
        _note(self.leaving, lease, lease.state == "ending" or lease.preempt_at is not None)
        holding = holding_of(lease)
        old = self._holdings.get(lease.id)
        if holding == old:
            return
        if old is not None:
            self._room.vacate(old)
        self._holdings[lease.id] = holding
        self._room.occupy(holding)

    def drop_lease(self, lease_id: str) -> None:
        """Forget a lease: its devices are free."""
        lease = self._leases.pop(lease_id, None)
        if lease is not None:
            self._room.vacate(self._holdings.pop(lease_id))
            self._preemptible(lease).pop(lease_id, None)
            self.leaving.pop(lease_id, None)

    def _preemptible(self, lease: Lease) -> dict[str, Lease]:
        return self.preemptible.setdefault(lease.request.priority, {})

    def empty_room(self) -> Room:
        """All devices but the lost ones as if nothing lay on them and none were drained."""
        if self._empty is None:
            self._empty, self._possible = Room(), {}
            for device in self._devices.values():
                known = device if device.state == "lost" else replace(device, foreign=0, state="ok")
                self._empty.put_device(known)
            for host in self._hosts.values():
                self._empty.put_host(host)
            self._empty.prepare()
        return self._empty

    def possible(self, request: Request) -> bool:
        """Whether a request fits if nothing else is there; remembered until the devices change."""
        if self._has_one_for(request):
            return True
        room = self.empty_room()
        need = room.need(request)
        found = self._possible.get(need)
        if found is None:
            found = self._possible[need] = bool(candidates(room, need))
        return found

    def _has_one_for(self, request: Request) -> bool:
        """Whether one device alone will plainly do: the usual case, without a look at the hosts."""
        if nonsense(request) or request.linked or request.devices not in (None, 1):
            return False
        if request.cpus or request.host_memory:
            return False
        need = self._room.need(request)
        return any(device.state != "lost" and mismatch(device, need) is None for device in self._devices.values())

    def _lift(self, device_id: str) -> list[Holding]:
        slot = self._room.slots.get(device_id)
        moved = [self._holdings[lease_id] for lease_id in slot.parts] if slot is not None else []
        for holding in moved:
            self._room.vacate(holding)
        return moved

    def _lay(self, holdings: list[Holding]) -> None:
        for holding in holdings:
            self._room.occupy(holding)


def _note(leases: dict[str, Lease], lease: Lease, belongs: bool) -> None:
    if belongs:
        leases[lease.id] = lease
    else:
        leases.pop(lease.id, None)


def holding_of(lease: Lease) -> Holding:
    """What a lease takes, in the form of the room."""
    request, end = lease.request, end_of(lease)
    compute = round((request.compute or 0) * MILLIONTHS) if lease.shared else 0
    memory: dict[str, int] = {}
    for share in lease.shares:
        memory[share.device] = memory.get(share.device, 0) + share.memory
    return Holding(
        lease.id,
        tuple((name, Part(size, compute, not lease.shared, request.tenant, end)) for name, size in memory.items()),
        hard_cpus=round((request.cpus or 0) * MILLIONTHS),
        hard_memory=request.host_memory or 0,
        cpus=round(lease.cpus * MILLIONTHS),
        memory=lease.host_memory,
    )


def end_of(lease: Lease) -> End:
    """When a lease will end, as far as it is known; else since when it runs."""
    if lease.state == "ending":
        return (0, 0.0)
    if lease.preempt_at is not None:
        return (0, lease.preempt_at)
    if lease.request.expected is not None:
        return (0, lease.granted + lease.request.expected)
    return (1, lease.granted)
