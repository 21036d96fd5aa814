"""An exit by SIGKILL that is taken for one of memory makes every later training smaller, for nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_assets.models.oom_kills import oom_kills

MOST = 150 * 2**20


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.events": "oom 2\noom_kill 3\n"}, 3),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/memory.events": "oom_kill 4\noom_group_kill 9\n"}, 4),
        (
            {
                "proc/self/cgroup": "4:cpu,memory:/a\n0::/\n",
                "sys/fs/cgroup/memory/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
                "proc/vmstat": "oom_kill 9\n",
            },
            5,
        ),
        ({"proc/self/cgroup": "0::/\n", "proc/vmstat": "pgfault 1\noom_kill 6\n"}, 6),
        ({}, 0),
    ],
)
def test_it_is_counted_of_the_group_or_else_of_the_machine(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert oom_kills(tmp_path) == expected


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group with little memory, where this user may make one."""
    (line,) = [line for line in Path("/proc/self/cgroup").read_text().splitlines() if ":memory:" in line] or [""]
    above = Path("/sys/fs/cgroup/memory") / line.rpartition(":")[2].strip("/")
    group = above / f"llm-assets-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(MOST))
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield group
    group.rmdir()


def test_what_the_kernel_ends_for_want_of_memory_has_run_out(tmp_path: Path, small_group: Path) -> None:
    (tmp_path / "greedy.py").write_text("import time\nkept = bytearray(400 * 2**20)\ntime.sleep(60)")
    code = f"""
import os, pathlib
pathlib.Path({str(small_group)!r}, "cgroup.procs").write_text(str(os.getpid()))
from llm_assets.models.children import OutOfMemory, run_job
folder = pathlib.Path({str(tmp_path)!r})
try:
    run_job("greedy", folder / "job.json", folder)
except OutOfMemory as error:
    print("out of memory:", error)
"""
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert "out of memory: greedy: its process was killed for want of memory" in done.stdout, done.stderr
