"""`accelerators status`: devices, who holds them, who waits and why."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from resources.accelerators.commands.text import as_json, columns, lasting, ranges
from resources.accelerators.units import shown_gb

HELP = "Devices, leases, and waiting requests in their order, each with why it waits."
STAGES = {"queued": "run queued", "starting": "run starting", "claiming": "step waits"}
FEW = 4  # idle devices of a host beyond so many share a line


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    from resources.accelerators.commands.snapshot import look, snapshot
    from resources.accelerators.ledger.ledger import open_ledger

    found = snapshot(look(open_ledger()))
    print(as_json(found) if options.json else "\n".join(lines(found)))
    return 0


def lines(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """A snapshot as text."""
    if not found["devices"]:
        return ["No device is registered. On each host with devices: accelerators register"]
    return [*_devices(found), "", *_leases(found["leases"]), "", *_waiting(found["waiting"])]


def _devices(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    devices = found["devices"]
    leases = {lease["lease"]: lease for lease in found["leases"]}
    total, used = (sum(device[name] for device in devices) for name in ("memory_bytes", "used_bytes"))
    text = [f"DEVICES  {len(devices)}, {shown_gb(total)}; {shown_gb(used)} leased"]
    for host, group in groupby(devices, key=lambda device: device["host"]):
        text += [f" {host}", *_host(list(group), leases)]
    return text


def _host(devices: Sequence[dict[str, Any]], leases: dict[str, dict[str, Any]]) -> list[str]:
    """A line a device; many idle devices of one model share a line."""
    idle = [device for device in devices if _is_idle(device)]
    alone = devices if len(idle) <= FEW else [device for device in devices if not _is_idle(device)]
    text = columns([_device(device, leases) for device in alone]) if alone else []
    if len(idle) > FEW:
        for model, group in groupby(sorted(idle, key=lambda one: one["model"]), key=lambda one: one["model"]):
            names = [one["device"] for one in group]
            text.append(f"  {len(names)} × {model} free: {ranges(names)}")
    return text


def _is_idle(device: dict[str, Any]) -> bool:
    return not device["leases"] and not device["foreign_bytes"] and device["state"] == "ok"


def _device(device: dict[str, Any], leases: dict[str, dict[str, Any]]) -> list[str]:
    by = [leases[lease] for lease in device["leases"]]
    holders = ", ".join(f"{lease['asset']} ({lease['lease'][:8]})" for lease in by) or "free"
    foreign = f"foreign {shown_gb(device['foreign_bytes'])}" if device["foreign_bytes"] else ""
    state = "" if device["state"] == "ok" else f"{device['state'].upper()}: {device['reason'] or 'no reason given'}"
    size = f"{shown_gb(device['used_bytes'])} of {shown_gb(device['memory_bytes'])}"
    return [device["device"], device["model"], size, "; ".join(part for part in (state, foreign, holders) if part)]


def _leases(leases: Sequence[dict[str, Any]]) -> list[str]:
    if not leases:
        return ["LEASES  none"]
    rows = [["lease", "pool", "tenant", "asset", "devices", "held", "waited", "note"]]
    rows += [
        [
            lease["lease"][:8],
            lease["pool"],
            lease["tenant"],
            lease["asset"],
            _on(lease["devices"], lease["shared"]),
            lasting(lease["held_seconds"]),
            lasting(lease["waited_seconds"]),
            _note(lease),
        ]
        for lease in leases
    ]
    return [f"LEASES  {len(leases)}", *columns(rows)]


def _on(shares: Sequence[dict[str, Any]], shared: bool) -> str:
    names = ranges([share["device"] for share in shares])
    return f"{shown_gb(shares[0]['memory_bytes'])} of {names}" if shared else names


def _note(lease: dict[str, Any]) -> str:
    """What is unusual about it."""
    notes = []
    if lease["state"] == "ending":
        notes.append("ENDING: free when its processes are gone")
    if lease["preempt_at"] is not None:
        notes.append("PRE-EMPTED: being taken back")
    if lease["holders"] and all(holder["alive"] is False for holder in lease["holders"]):
        notes.append("holders are dead")
    return "; ".join(notes)


def _waiting(waiting: Sequence[dict[str, Any]]) -> list[str]:
    if not waiting:
        return ["WAITING  nobody"]
    text = [f"WAITING  {len(waiting)}, the next one first"]
    for one in waiting:
        priority = f", priority {one['priority']}" if one["priority"] else ""
        text.append(
            f"  {one['position']}. {one['asset']} ({one['pool']}, tenant {one['tenant']}{priority}; "
            f"{STAGES[one['stage']]}, {lasting(one['waited_seconds'])})"
        )
        text.append(f"     {one['why']}")
    return text
