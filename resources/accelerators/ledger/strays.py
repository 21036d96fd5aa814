"""Processes that work under a lease, wherever they have gone: its id stands in the environment of every one of them.

Ranks of torchrun start sessions of their own and outlive their parent; an environment is inherited all the same.
Processes of other users cannot be seen, unless this process may read theirs.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterable

from resources.accelerators.leases import LEASE_VARIABLE
from resources.accelerators.ledger.liveness import alive, process_of
from resources.accelerators.requests import Process
from resources.processes import variable_of

GONE_SECONDS = 2.0  # a killed process needs a moment; one that hangs in the kernel holds its device, and its lease


def marked() -> dict[str, list[Process]]:
    """Lease id to the living processes of this host that carry it; without the caller."""
    found: dict[str, list[Process]] = {}
    own = os.getpid()
    for name in os.listdir("/proc"):  # noqa: PTH208  (many short names: a Path for each would take three times as long)
        if not name.isdigit() or int(name) == own:
            continue
        if (lease_id := variable_of(name, LEASE_VARIABLE)) and (process := process_of(int(name))):
            found.setdefault(lease_id, []).append(process)
    return found


def kill(processes: Iterable[Process]) -> list[int]:
    """End processes at once; returns the pids of those that are gone when it returns."""
    sent = [process for process in processes if alive(process) and _signal(process.pid)]
    deadline = time.monotonic() + GONE_SECONDS
    while any(alive(process) for process in sent) and time.monotonic() < deadline:
        time.sleep(0.005)
    return [process.pid for process in sent if not alive(process)]


def kill_marked(lease_ids: Collection[str]) -> tuple[list[int], set[str]]:
    """End every process that carries one of the leases, also those that are started meanwhile.

    Returns:
        The pids that are gone, and the leases of which some process is left.
    """
    killed: list[int] = []
    deadline = time.monotonic() + GONE_SECONDS
    while lease_ids:
        living = {lease_id: found for lease_id, found in marked().items() if lease_id in lease_ids}
        if not living or time.monotonic() > deadline:
            return killed, set(living)
        killed += kill(process for found in living.values() for process in found)
    return killed, set()


def _signal(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True
