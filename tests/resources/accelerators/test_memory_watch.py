"""A lease that takes more than it was granted makes its neighbour on the device fail, and nobody knows who did it."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace

import pytest

from resources import processes
from resources.accelerators.devices import Device
from resources.accelerators.leases import Lease, Share
from resources.accelerators.memory_watch import GpuMemory, MainMemory, Usage, meter_of, tree_pids, watch
from resources.accelerators.requests import Request
from resources.accelerators.units import GB

MB = 10**6
CPU = Device("host/cpu0", "host", "cpu", "cpu", 32 * GB)
DEVICES = {CPU.id: CPU}
TAKES = "import sys; held = b'x' * {mb} * 1_000_000; print(flush=True); sys.stdin.read()"
FORKS = """
import os, sys
held = b'x' * 200_000_000
children = [os.fork() or os._exit((sys.stdin.read(), 0)[1]) for _ in range(3)]
print(flush=True); sys.stdin.read()
"""


def granted(memory: int, device: Device = CPU) -> Lease:
    return Lease("lease-1", "run", "step", Request("pool", memory, share=True), (Share(device.id, memory),), 0.0)


def python(code: str) -> processes.ProcessTree:
    """A tree whose command has printed a line, and waits."""
    tree = processes.start(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, grace_seconds=1
    )
    assert tree.stdout is not None
    tree.stdout.readline()
    return tree


def becomes(fact: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not fact() and time.monotonic() < deadline:
        time.sleep(0.02)
    return fact()


def test_the_peak_of_a_tree_is_that_of_all_its_processes() -> None:
    with python(TAKES.format(mb=200)) as tree, watch(granted(GB), lambda: tree_pids(tree.pid), DEVICES) as usage:
        assert becomes(lambda: usage.peak > 200 * MB)
    assert usage.peak < 400 * MB
    assert usage.message is None


def test_even_a_block_that_ends_at_once_is_measured() -> None:
    with watch(granted(GB), lambda: [os.getpid()], DEVICES, interval=60) as usage:
        pass
    assert usage.peak > 10 * MB


def test_memory_that_forked_processes_share_counts_once() -> None:
    with python(FORKS) as tree:
        pids = tree_pids(tree.pid)
        assert len(pids) >= 5
        [used] = MainMemory("cpu")(pids).values()
    assert 200 * MB < used < 400 * MB  # four processes of 200 MB each, by RSS 800


def test_more_than_was_granted_is_reported_once_with_figures(caplog: pytest.LogCaptureFixture) -> None:
    reported: list[Usage] = []
    with python(TAKES.format(mb=150)) as tree:
        looks = itertools.count()

        def pids() -> list[int]:
            next(looks)
            return tree_pids(tree.pid)

        with watch(granted(100 * MB), pids, DEVICES, on_exceeded=reported.append, interval=0.01):
            assert becomes(lambda: bool(reported))
            assert becomes(lambda: next(looks) > 50)  # it goes on looking, and does not say it again
        assert tree.poll() is None, "enforce: warn ends nothing"
    assert len(reported) == len(caplog.records) == 1
    assert "lease lease-1 (step) uses 0.2 GB on host/cpu0, was granted 0.1 GB." in caplog.text
    assert "Raise memory_gb" in caplog.text


def test_under_kill_the_tree_is_ended() -> None:
    with python(TAKES.format(mb=150)) as tree:
        lease, pids = granted(100 * MB), partial(tree_pids, tree.pid)
        with watch(lease, pids, DEVICES, on_exceeded=lambda _: tree.terminate(), interval=0.05):
            assert becomes(lambda: tree.poll() is not None)


def test_watching_costs_next_to_nothing() -> None:
    with python(FORKS) as tree:
        before = resource.getrusage(resource.RUSAGE_SELF)
        started = time.monotonic()
        with watch(granted(GB), lambda: tree_pids(tree.pid), DEVICES) as usage:
            assert becomes(lambda: time.monotonic() - started > 3)
        after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert usage.peak > 200 * MB
    assert used / 3 < 0.05, f"{used / 3:.1%} of a core"  # the loop of this test included


def test_a_tree_that_has_ended_uses_nothing() -> None:
    with python(TAKES.format(mb=1)) as tree:
        pid = tree.pid
    assert MainMemory("cpu")(tree_pids(pid)) == {"cpu": 0}


class Nvml:
    """What NVML counts for each process of each GPU; one that is not listed is lost."""

    NVMLError = type("NVMLError", (Exception,), {})

    def __init__(self, held: Mapping[str, Mapping[int, int | None]]) -> None:
        self._held = held

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid not in self._held:
            raise self.NVMLError("GPU is lost")
        return uuid

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in self._held[handle].items()]


def test_on_gpus_only_the_processes_of_the_lease_count() -> None:
    meter = GpuMemory(["GPU-a", "GPU-b", "GPU-lost"], Nvml({"GPU-a": {1: 5 * GB, 9: 70 * GB}, "GPU-b": {2: None}}))
    assert meter([1, 2]) == {"GPU-a": 5 * GB, "GPU-b": 0, "GPU-lost": 0}


def test_what_cannot_be_measured_is_not_called_zero_use() -> None:
    chip = Device("vm/tpu0", "vm", "tpu", "tpu-v5e", 16 * GB)
    assert meter_of(granted(GB, chip), {chip.id: chip}) is None
    with watch(granted(GB, chip), lambda: [os.getpid()], {chip.id: chip}) as usage:
        pass
    assert not usage.measured
