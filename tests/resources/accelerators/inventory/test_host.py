"""A host that counts the machine's cores and memory, when it runs in a container with less, is over-committed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resources.accelerators.inventory.host import RESERVE, cpu_device, this_machine, usable_cpus, usable_memory

GIB = 1 << 30


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    (folder / "self").mkdir(parents=True)
    (folder / "meminfo").write_text(f"MemTotal: {64 * GIB // 1024} kB\nMemFree: 1 kB\n")
    return folder


def group(root: Path, proc: Path, line: str, files: dict[str, str]) -> Path:
    """A tree of control groups; `files` are paths below its root."""
    (proc / "self" / "cgroup").write_text(line)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_this_machine_has_no_more_than_its_kernel_says() -> None:
    host = this_machine()
    assert 0 < host.cpus <= len(os.sched_getaffinity(0))
    assert 0 < host.memory < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_the_cpu_is_a_device_with_the_host_s_memory() -> None:
    host = this_machine()
    device = cpu_device(host)
    assert (device.id, device.kind, device.memory) == (f"{host.name}/cpu0", "cpu", host.memory)


def test_the_affinity_of_the_process_limits_its_cores(tmp_path: Path, proc: Path) -> None:
    all_cores = os.sched_getaffinity(0)
    groups = group(tmp_path / "cg", proc, "0::/\n", {"cpu.max": "max 100000"})
    try:
        os.sched_setaffinity(0, {min(all_cores)})
        assert usable_cpus(groups, proc) == 1
    finally:
        os.sched_setaffinity(0, all_cores)


def test_a_group_of_version_2_limits_both_and_so_does_one_above_it(tmp_path: Path, proc: Path) -> None:
    files = {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000", "a/b/memory.max": str(8 * GIB)}
    groups = group(tmp_path / "cg", proc, "0::/a/b\n", files | {"a/memory.max": "max"})
    assert usable_cpus(groups, proc) == 0.5
    assert usable_memory(groups, proc) == round(8 * GIB * (1 - RESERVE))


def test_a_group_of_version_1_limits_both(tmp_path: Path, proc: Path) -> None:
    files = {
        "cpu/a/cpu.cfs_quota_us": "25000",
        "cpu/a/cpu.cfs_period_us": "100000",
        "memory/a/memory.limit_in_bytes": str(2 * GIB),
    }
    lines = "9:memory:/a\n5:cpu,cpuacct:/a\n1:name=systemd:/a\n0::/a\n"
    groups = group(tmp_path / "cg", proc, lines, files)
    assert usable_cpus(groups, proc) == 0.25
    assert usable_memory(groups, proc) == round(2 * GIB * (1 - RESERVE))


def test_no_limit_leaves_the_machine_s_memory(tmp_path: Path, proc: Path) -> None:
    files = {"memory/memory.limit_in_bytes": "9223372036854771712", "cpu/cpu.cfs_quota_us": "-1"}
    groups = group(tmp_path / "cg", proc, "9:memory:/\n5:cpu:/\n", files)
    assert usable_memory(groups, proc) == round(64 * GIB * (1 - RESERVE))
    assert usable_cpus(groups, proc) == len(os.sched_getaffinity(0))


def test_in_a_container_the_group_that_is_mounted_counts_where_the_path_is_the_host_s(
    tmp_path: Path, proc: Path
) -> None:
    groups = group(tmp_path / "cg", proc, "0::/docker/abc\n", {"memory.max": str(4 * GIB)})
    assert usable_memory(groups, proc) == round(4 * GIB * (1 - RESERVE))


def test_a_kernel_without_control_groups_limits_nothing(tmp_path: Path, proc: Path) -> None:
    assert usable_memory(tmp_path / "none", proc) == round(64 * GIB * (1 - RESERVE))
    assert usable_cpus(tmp_path / "none", proc) == len(os.sched_getaffinity(0))
