"""Leases and waits as the bars of a Gantt chart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from resources.accelerators.devices import Device
from resources.accelerators.gantt import Bar
from resources.accelerators.ledger.records import Past
from resources.accelerators.requests import Waiting

SHORTEST_WAIT = 1.0  # seconds; a shorter wait is nobody's concern and would be drawn as a dot


def bars(past: Iterable[Past], waiting: Iterable[Waiting], devices: Mapping[str, Device], now: float) -> list[Bar]:
    """A bar for each device of each lease, one for each wait; what is not over lasts until now."""
    leases = list(past)
    return [
        *(bar for one in leases for bar in _held(one, devices, now)),
        *(bar for one in leases for bar in _waited(one)),
        *(
            Bar(one.submitted, now, one.asset or one.step_key, one.request.pool, one.request.tenant)
            for one in waiting
            if now - one.submitted >= SHORTEST_WAIT
        ),
    ]


def _held(past: Past, devices: Mapping[str, Device], now: float) -> Iterator[Bar]:
    lease = past.lease
    end = now if past.ended is None else past.ended
    for share in lease.shares:
        device = devices.get(share.device)
        part = min(1.0, share.memory / device.memory) if device else 1.0
        name, request = lease.asset or lease.step_key, lease.request
        yield Bar(lease.granted, end, name, request.pool, request.tenant, share.device, part)


def _waited(past: Past) -> Iterator[Bar]:
    lease = past.lease
    if lease.waited >= SHORTEST_WAIT:
        name, request = lease.asset or lease.step_key, lease.request
        yield Bar(past.submitted, lease.granted, name, request.pool, request.tenant)
