"""kill -9 of a run, and of nothing else: what it has started must go by itself."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

from tests.polling import until

MARK = "LLM_ASSETS_TEST_RUN"
DEADLINE_SECONDS = 60

Moment = Callable[[], bool]


def new_mark() -> dict[str, str]:
    """Environment by which the processes of one run are told from all others."""
    return {MARK: uuid.uuid4().hex}


def kill_at(process: Popen[str], moment: Moment, mark: dict[str, str]) -> bool:
    """Kill a run's own process at a moment, and wait until its children are gone.

    Returns:
        Whether it was alive then.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while process.poll() is None and not moment():
        assert time.monotonic() < deadline, "the moment to kill never came"
        time.sleep(0.001)
    alive = process.poll() is None
    if alive:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until(lambda: not marked(mark), "processes of a killed run have ended", seconds=DEADLINE_SECONDS)
    return alive


def marked(mark: dict[str, str]) -> list[int]:
    """The processes that carry a mark."""
    needle = "=".join(next(iter(mark.items()))).encode()
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if needle in _environment(folder)]


def command_of(pid: int) -> str:
    """The command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def after(seconds: float) -> Moment:
    """The moment some time from now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def commits(state: Path) -> int:
    """How many table versions lie below a state folder: one more for each transaction."""
    return sum(name.endswith(".manifest") for _, _, names in os.walk(state / "tenants") for name in names)


def after_commits(state: Path, count: int) -> Moment:
    """The moment of the `count`-th transaction from now, before what follows it."""
    goal = commits(state) + count
    return lambda: commits(state) >= goal


def _environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
