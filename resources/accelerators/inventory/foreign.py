"""Memory of a device that is in use without a lease."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from resources.accelerators.leases import LEASE_VARIABLE
from resources.processes import variable_of

MPS_VARIABLE = "LLM_ASSETS_MPS"  # in the environment of the MPS daemons that we start, and of their servers
UNEXPLAINED = 1 << 30  # contexts and page tables are counted to no process; less than this is not called foreign


def foreign_memory(
    used: Callable[[], int], processes: Callable[[], Mapping[int, int | None]], proc: Path = Path("/proc")
) -> int:
    """Bytes that processes without a lease hold on a device.

    A process is ours if its environment names a lease. That of another user can be read only by root: let the agent
    that registers run as root where several users take leases on one host. Bytes that no process accounts for are
    counted too: a container sees no processes but its own.

    Args:
        used: bytes in use on the device; asked before and after, as programs allocate meanwhile.
        processes: process id to the bytes it holds; None where the driver does not say.
        proc: where the processes' environments are.
    """
    before = used()
    held = processes()
    whole = min(before, used())
    others = sum(size or 0 for pid, size in held.items() if not is_ours(pid, proc))
    if any(size is None for size in held.values()):
        return others if any(is_ours(pid, proc) for pid in held) else whole
    unexplained = whole - sum(size or 0 for size in held.values())
    return others + (unexplained if unexplained > UNEXPLAINED else 0)


def is_ours(pid: int, proc: Path = Path("/proc")) -> bool:
    """Whether a process works under a lease, or serves those that do."""
    return any(variable_of(pid, name, proc) is not None for name in (LEASE_VARIABLE, MPS_VARIABLE))
