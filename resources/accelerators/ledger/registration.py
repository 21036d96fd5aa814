"""A host's inventory in the ledger: what is new, what has changed, what is gone and who holds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from resources.accelerators.devices import Device, Host
from resources.accelerators.leases import Lease
from resources.accelerators.ledger.records import Registration
from resources.accelerators.ledger.transaction import Transaction

LOST = "not found when {host} was registered again"


def register(transaction: Transaction, host: Host, devices: Sequence[Device]) -> Registration:
    """Write a host and the devices that it registers: its own, and those declared on it."""
    transaction.put_host(replace(host, registered_at=transaction.now))
    before = dict(_registered(transaction))
    added, changed = [], []
    for device in devices:
        drained = before.get(device.id, (None, ""))[0]
        new = _drained(device, drained)
        old = transaction.state.devices.get(device.id)
        if new != old:
            (added if old is None else changed).append(device.id)
        if new != old or before[device.id][1] != host.name:
            transaction.put_device(new, drained, host.name)
    lost = _lose_missing(transaction, host.name, before, {device.id for device in devices})
    leases = _endangered(transaction, {*lost, *changed})
    return Registration(host.name, tuple(added), tuple(changed), tuple(lost), leases, tuple(devices))


def drain(transaction: Transaction, device_id: str, reason: str | None) -> None:
    """Take a device out, or put it back in with None."""
    device, (drained, registered_by) = transaction.state.devices[device_id], dict(_registered(transaction))[device_id]
    if reason is None and drained is not None and device.state == "drained":
        device = replace(device, state="ok", reason=None)
    elif reason is not None:
        device = _drained(device, reason)
    transaction.put_device(device, reason, registered_by)


def set_foreign(transaction: Transaction, device_id: str, memory: int) -> None:
    """Note what processes without a lease hold of a device."""
    device = transaction.state.devices[device_id]
    if device.foreign != memory:
        drained, registered_by = dict(_registered(transaction))[device_id]
        transaction.put_device(replace(device, foreign=memory), drained, registered_by)


def _registered(transaction: Transaction) -> list[tuple[str, tuple[str | None, str]]]:
    """Device id to the operator's reason for draining it and the host that registered it."""
    found = transaction.database.rows("SELECT id, drained, registered_by FROM devices")
    return [(device_id, (drained, registered_by)) for device_id, drained, registered_by in found]


def _drained(device: Device, reason: str | None) -> Device:
    """As it is leased: what the operator drained stays so, unless the device is lost altogether."""
    return replace(device, state="drained", reason=reason) if reason is not None and device.state == "ok" else device


def _lose_missing(
    transaction: Transaction, host: str, before: dict[str, tuple[str | None, str]], present: set[str]
) -> list[str]:
    lost = []
    for device_id, (drained, registered_by) in before.items():
        device = transaction.state.devices[device_id]
        if registered_by == host and device_id not in present and device.state != "lost":
            transaction.put_device(
                replace(device, state="lost", reason=LOST.format(host=host)), drained, registered_by
            )
            lost.append(device_id)
    return lost


def _endangered(transaction: Transaction, device_ids: set[str]) -> tuple[Lease, ...]:
    """Leases on devices that are lost, or have become smaller than what is leased of them."""
    devices, leases = transaction.state.devices, transaction.state.leases.values()
    leased: Counter[str] = Counter()
    for share in (share for lease in leases for share in lease.shares):
        leased[share.device] += share.memory
    bad = {name for name in device_ids if devices[name].state == "lost" or devices[name].memory < leased[name]}
    return tuple(lease for lease in leases if any(share.device in bad for share in lease.shares))
