"""How much memory the processes of a lease use together, while they run, and whether it is more than was granted.

On a CPU lease main memory is measured, from /proc; on a GPU lease what NVML counts for each process. The part on GPUs
has not run on hardware; of a TPU nothing can be measured from outside.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resources.accelerators.devices import Device
from resources.accelerators.leases import Lease
from resources.accelerators.units import shown_gb

log = logging.getLogger(__name__)
PROC = Path("/proc")
PAGE = os.sysconf("SC_PAGE_SIZE")
INTERVAL = 0.5  # seconds between two looks
PART = 0.02  # of one core, at most, goes into reading PSS
Pids = Callable[[], Iterable[int]]


@dataclass
class Usage:
    """What was measured so far.

    Attributes:
        granted: bytes of the lease.
        peak: the most bytes in use at one time, over all devices of the lease; 0 until something was measured.
        measured: whether this kind of device can be measured at all.
        exceeded: device id to bytes, when more than its share was first in use; empty: never.
    """

    granted: int
    peak: int = 0
    measured: bool = True
    exceeded: dict[str, int] = field(default_factory=dict)

    @property
    def message(self) -> str | None:
        """What people should know of it, if it exceeded its grant."""
        if not self.exceeded:
            return None
        uses = ", ".join(f"{shown_gb(count)} on {device}" for device, count in self.exceeded.items())
        granted = shown_gb(self.granted)
        return f"uses {uses}, was granted {granted}. Raise memory_gb of the pool, or lower the batch size."


@contextmanager
def watch(
    lease: Lease,
    pids: Pids,
    devices: Mapping[str, Device],
    *,
    on_exceeded: Callable[[Usage], None] | None = None,
    interval: float = INTERVAL,
) -> Iterator[Usage]:
    """Measure in a thread while the block runs; a last look is taken at its end.

    Args:
        lease: what was granted.
        pids: the processes of its tree now, such as `lambda: tree_pids(tree.pid)`.
        devices: device id to device, at least those of the lease.
        on_exceeded: called once, in the thread, when more than the grant is first in use; it may end the tree.
        interval: seconds between two looks.
    """
    meter = meter_of(lease, devices)
    usage = Usage(sum(share.memory for share in lease.shares), measured=meter is not None)
    stopped = threading.Event()

    def exceeded() -> None:
        log.warning("lease %s (%s) %s", lease.id, lease.asset or lease.step_key, usage.message)
        if on_exceeded is not None:
            on_exceeded(usage)

    def run() -> None:
        reported = False
        while meter is not None:
            _look(meter, pids, lease, usage)
            if usage.exceeded and not reported:
                reported = True
                exceeded()
            if stopped.wait(interval):
                return

    thread = threading.Thread(target=run, name=f"memory of lease {lease.id}", daemon=True)
    thread.start()
    try:
        yield usage
    finally:
        stopped.set()
        thread.join()


def tree_pids(root: int, proc: Path = PROC) -> list[int]:
    """A process and all that descend from it; those that have lost their parent only under a child subreaper."""
    found, ahead = [], [root]
    while ahead:
        pid = ahead.pop()
        found.append(pid)
        for children in (proc / str(pid) / "task").glob("*/children"):
            try:
                ahead += map(int, children.read_text(encoding="ascii").split())
            except OSError:
                continue  # the thread has ended
    return found


class Meter:
    """Bytes in use by processes, by device."""

    def __call__(self, pids: Iterable[int]) -> Mapping[str, int]:
        """Device id to the bytes that these processes hold of it."""
        raise NotImplementedError


class MainMemory(Meter):
    """Main memory of processes. Shared pages count once (PSS): the workers of a data loader share a whole dataset.

    The kernel walks page tables for PSS, milliseconds for many GB. RSS is one line and never less than PSS, so PSS is
    only read where RSS is above the peak so far, and in at most `PART` of the time.
    """

    def __init__(self, device: str) -> None:
        self._device, self._peak, self._last, self._rest_until = device, 0, 0, 0.0

    def __call__(self, pids: Iterable[int]) -> Mapping[str, int]:
        resident = {pid: rss(pid) for pid in pids}
        total = sum(resident.values())
        if total > self._peak and len(resident) > 1:
            total = self._exactly(resident)
        self._peak = max(self._peak, total)
        return {self._device: total}

    def _exactly(self, resident: Mapping[int, int]) -> int:
        started = time.monotonic()
        if started >= self._rest_until:
            self._last = sum(pss(pid) or resident[pid] for pid in resident)
            now = time.monotonic()
            self._rest_until = now + (now - started) / PART
        return self._last


class GpuMemory(Meter):
    """Memory of GPUs and MIG instances, as NVML counts it for each process.

    Args:
        devices: their UUIDs.
        nvml: the module pynvml, initialised.
    """

    def __init__(self, devices: Iterable[str], nvml: Any) -> None:
        self._devices, self._nvml = tuple(devices), nvml

    def __call__(self, pids: Iterable[int]) -> Mapping[str, int]:
        ours = set(pids)
        return {device: self._used(device, ours) for device in self._devices}

    def _used(self, device: str, ours: set[int]) -> int:
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(device)
            listed = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except nvml.NVMLError:
            return 0  # a lost GPU is the inventory's to report
        return sum(process.usedGpuMemory or 0 for process in listed if process.pid in ours)


def meter_of(lease: Lease, devices: Mapping[str, Device]) -> Meter | None:
    """What measures this lease; None for what cannot be measured (TPU chips, no driver). Pretended: main memory."""
    held = [devices[share.device] for share in lease.shares if share.device in devices]
    gpus = [device.id for device in held if device.kind == "gpu" and not device.pretended]
    if gpus:
        from resources.accelerators.inventory.nvml import library

        nvml = library()
        return GpuMemory(gpus, nvml) if nvml is not None else None
    if held and all(device.kind == "cpu" or device.pretended for device in held):
        return MainMemory(held[0].id)
    return None


def rss(pid: int, proc: Path = PROC) -> int:
    """Bytes of main memory that a process has mapped and present, shared ones included; 0 if it has ended."""
    try:
        return int((proc / str(pid) / "statm").read_text(encoding="ascii").split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def pss(pid: int, proc: Path = PROC) -> int | None:
    """Bytes of main memory of a process, shared ones in equal parts; None if it has ended or is another user's."""
    try:
        lines = (proc / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)


def _look(meter: Meter, pids: Pids, lease: Lease, usage: Usage) -> None:
    used = meter(pids())
    usage.peak = max(usage.peak, sum(used.values()))
    if usage.exceeded:
        return
    if len(used) == 1:  # main memory: one figure for the whole lease
        over = {device: count for device, count in used.items() if count > usage.granted}
    else:
        shares = {share.device: share.memory for share in lease.shares}
        over = {device: count for device, count in used.items() if count > shares.get(device, 0)}
    usage.exceeded = over
