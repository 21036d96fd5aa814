"""A mirror of the ledger's rows that decisions are made on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from resources.accelerators.deciding.rules import Rules
from resources.accelerators.devices import Device, Host
from resources.accelerators.leases import Lease
from resources.accelerators.requests import Waiting


class State:
    """Devices, hosts, leases and what waits; equal rows give equal decisions. Not for several threads at once.

    Attributes:
        rules: the rules of the queue.
        devices, hosts, waiting, leases: by id, to be read only.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._devices: dict[str, Device] = {}
        self._hosts: dict[str, Host] = {}
        self._waiting: dict[str, Waiting] = {}
        self._leases: dict[str, Lease] = {}
        self.devices: Mapping[str, Device] = MappingProxyType(self._devices)
        self.hosts: Mapping[str, Host] = MappingProxyType(self._hosts)
        self.waiting: Mapping[str, Waiting] = MappingProxyType(self._waiting)
        self.leases: Mapping[str, Lease] = MappingProxyType(self._leases)

    def put_device(self, device: Device) -> None:
        """Add a device, or replace the one with its id."""
        self._devices[device.id] = device

    def drop_device(self, device_id: str) -> None:
        """Forget a device; leases on it stay."""
        self._devices.pop(device_id, None)

    def put_host(self, host: Host) -> None:
        """Add a host, or replace the one of its name."""
        self._hosts[host.name] = host

    def put_waiting(self, waiting: Waiting) -> None:
        """Add a waiting request, or replace the one with its id."""
        self._waiting[waiting.id] = waiting

    def drop_waiting(self, waiting_id: str) -> None:
        """Forget a waiting request."""
        self._waiting.pop(waiting_id, None)

    def put_lease(self, lease: Lease) -> None:
        """Add a lease, or replace the one with its id."""
        self._leases[lease.id] = lease

    def drop_lease(self, lease_id: str) -> None:
        """Forget a lease: its devices are free."""
        self._leases.pop(lease_id, None)
