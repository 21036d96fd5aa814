"""The host itself: the cores and the memory that this process may use, which is often less than the machine has."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from resources.accelerators.devices import Device, Host
from resources.accelerators.ledger.liveness import this_boot, this_host

CPU_MODEL = "cpu"
RESERVE = 0.05  # of the memory is left to the system, the web server and the daemon
CGROUPS, PROC = Path("/sys/fs/cgroup"), Path("/proc")
NO_LIMIT = 1 << 60  # version 1 writes a huge number for "no limit"


def this_machine(cgroups: Path = CGROUPS, proc: Path = PROC) -> Host:
    """This host, with the cores and bytes that may be leased: within affinity and control groups."""
    return Host(
        name=this_host(),
        cpus=usable_cpus(cgroups, proc),
        memory=usable_memory(cgroups, proc),
        boot_id=this_boot(),
        registered_at=time.time(),
    )


def cpu_device(host: Host) -> Device:
    """The host's CPU with its memory, as a device: what a laptop without an accelerator leases."""
    return Device(f"{host.name}/cpu0", host.name, "cpu", CPU_MODEL, host.memory)


def usable_cpus(cgroups: Path = CGROUPS, proc: Path = PROC) -> float:
    """Cores that this process may use: its affinity, or less where a control group has a quota (fractions count)."""
    limits = [quota for group in _groups("cpu", cgroups, proc) if (quota := _quota(group)) is not None]
    return min([float(len(os.sched_getaffinity(0))), *limits])


def usable_memory(cgroups: Path = CGROUPS, proc: Path = PROC) -> int:
    """Bytes of main memory that may be leased: the machine's, or a control group's limit, less the reserve."""
    limits = [limit for group in _groups("memory", cgroups, proc) if (limit := _memory_limit(group)) is not None]
    return round(min([_machine_memory(proc), *limits]) * (1 - RESERVE))


def _machine_memory(proc: Path) -> int:
    for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{proc}/meminfo: has no MemTotal")


def _groups(controller: str, cgroups: Path, proc: Path) -> Iterator[Path]:
    """This process's control group and all above it: each may hold a limit. Version 2, or 1 for this controller."""
    for line in _lines(proc / "self" / "cgroup"):
        _number, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = cgroups if not controllers else cgroups / controller
        group = root / path.lstrip("/")
        # In a container the path may be the host's, and the container's own group is what is mounted.
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(root) and folder.is_dir())


def _quota(group: Path) -> float | None:
    v2 = _words(group / "cpu.max")
    quota = v2 or [*_words(group / "cpu.cfs_quota_us"), *_words(group / "cpu.cfs_period_us")]
    if len(quota) != 2 or quota[0] in ("max", "-1"):
        return None
    return int(quota[0]) / int(quota[1])


def _memory_limit(group: Path) -> int | None:
    found = _words(group / "memory.max") or _words(group / "memory.limit_in_bytes")
    return int(found[0]) if found and found[0] != "max" and int(found[0]) < NO_LIMIT else None


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []  # no control groups here, or not this controller: no limit
