"""Devices, requests and leases as rows, and back. Fields that have their default are left out of a request's JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import Any

from resources.accelerators.devices import Device, Host
from resources.accelerators.leases import Lease, Share
from resources.accelerators.ledger.records import Past
from resources.accelerators.requests import Process, Request, Waiting

Row = Sequence[Any]

HOST = "name, cpus, memory, boot_id, registered_at, site, labels"
DEVICE = (
    "id, host, kind, model, memory, number, nvlink, rdma, site, shareable, foreign_memory, state, reason, tenants, "
    "parent, pretended"
)
WAITING = "run_id, step_key, request, submitted, stage, asset, claimant, offered, reserved"
LEASE = "id, run_id, step_key, request, shares, granted, waited, asset, holders, state, preempt_at, cpus, host_memory"
MOST_REMEMBERED = 10_000

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_scan: Any = json.JSONDecoder().scan_once  # pyright: ignore[reportAttributeAccessIssue]  (missing in its stubs)
_DEFAULTS = {
    field.name: field.default if field.default is not MISSING else frozenset()
    for field in fields(Request)
    if field.name not in ("pool", "memory")
}


def _decode(text: str) -> Any:
    return _scan(text, 0)[0]  # what was written here has no space around it, which is what json.loads looks for


@lru_cache(maxsize=MOST_REMEMBERED)
def _processes(text: str) -> tuple[Process, ...]:
    return tuple(Process(*process) for process in _decode(text))


def host_row(host: Host) -> tuple[Any, ...]:
    """In the order of `HOST`."""
    labels = _encode(sorted(host.labels))
    return host.name, host.cpus, host.memory, host.boot_id, host.registered_at, host.site, labels


def read_host(row: Row) -> Host:
    """From the columns of `HOST`."""
    return Host(*row[:6], labels=frozenset(_decode(row[6])))


def device_row(device: Device) -> tuple[Any, ...]:
    """In the order of `DEVICE`."""
    return (
        device.id,
        device.host,
        device.kind,
        device.model,
        device.memory,
        device.index,
        device.nvlink,
        device.rdma,
        device.site,
        int(device.shareable),
        device.foreign,
        device.state,
        device.reason,
        None if device.tenants is None else _encode(sorted(device.tenants)),
        device.parent,
        int(device.pretended),
    )


def read_device(row: Row) -> Device:
    """From the columns of `DEVICE`."""
    device_id, host, kind, model, memory, number, nvlink, rdma, site, shareable, foreign, *rest = row[:16]
    state, reason, tenants, parent, pretended = rest
    permitted = None if tenants is None else frozenset[str](_decode(tenants))
    return Device(
        device_id,
        host,
        kind,
        model,
        memory,
        number,
        nvlink,
        rdma,
        site,
        shareable == 1,
        foreign,
        state,
        reason,
        permitted,
        parent,
        pretended == 1,
    )


def waiting_row(waiting: Waiting) -> tuple[Any, ...]:
    """In the order of `WAITING`."""
    return (
        waiting.run_id,
        waiting.step_key,
        request_text(waiting.request),
        waiting.submitted,
        waiting.stage,
        waiting.asset,
        waiting.claimant and process_text(waiting.claimant),
        waiting.offered,
        reserved_text(waiting),
    )


def process_text(process: Process) -> str:
    """The column `claimant`."""
    return _encode([_process_list(process)])


def reserved_text(waiting: Waiting) -> str:
    """The column `reserved`."""
    return _encode(waiting.reserved) if waiting.reserved else "[]"


def read_waiting(row: Row) -> Waiting:
    """From the columns of `WAITING`."""
    run_id, step_key, request, submitted, stage, asset, claimant, offered, reserved = row[:9]
    return Waiting(
        run_id,
        step_key,
        read_request(request),
        submitted,
        stage,
        asset,
        _processes(claimant)[0] if claimant else None,
        offered,
        tuple(_decode(reserved)) if reserved != "[]" else (),
    )


def lease_row(lease: Lease) -> tuple[Any, ...]:
    """In the order of `LEASE`."""
    return (
        lease.id,
        lease.run_id,
        lease.step_key,
        request_text(lease.request),
        _encode([(share.device, share.memory, share.compute) for share in lease.shares]),
        lease.granted,
        lease.waited,
        lease.asset,
        _encode([_process_list(holder) for holder in lease.holders]),
        lease.state,
        lease.preempt_at,
        lease.cpus,
        lease.host_memory,
    )


def read_lease(row: Row) -> Lease:
    """From the columns of `LEASE`."""
    lease_id, run_id, step_key, request, shares, granted, waited, asset, holders, state, preempt_at, *host = row[:13]
    return Lease(
        lease_id,
        run_id,
        step_key,
        read_request(request),
        tuple(Share(*share) for share in _decode(shares)),
        granted,
        waited,
        asset,
        _processes(holders),
        state,
        preempt_at,
        *host,
    )


def read_past(row: Row) -> Past:
    """From the columns of `LEASE`, then `ended`, `outcome` and `peak_memory`."""
    return Past(read_lease(row), *row[13:16])


def request_text(request: Request) -> str:
    """A request as JSON."""
    values: dict[str, Any] = {"pool": request.pool, "memory": request.memory}
    for name, default in _DEFAULTS.items():
        value = getattr(request, name)
        if value != default:
            values[name] = sorted(value) if isinstance(value, frozenset) else value
    return _encode(values)


@lru_cache(maxsize=MOST_REMEMBERED)
def read_request(text: str) -> Request:
    """A request from its JSON. Equal ones are common: most are what a pool says."""
    values = _decode(text)
    if "models" in values:
        values["models"] = frozenset(values["models"])
    return Request(**values)


def _process_list(process: Process) -> tuple[str, str, int, int]:
    return process.host, process.boot_id, process.pid, process.started
