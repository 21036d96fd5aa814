"""Run a training job in a process tree of its own, and say what went wrong in it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_assets.models.launching import Layout
from llm_assets.models.oom_kills import oom_kills
from llm_assets.training.failure import FAILURE, OUT_OF_MEMORY
from resources.accelerators.memory_watch import rss, tree_pids
from resources.processes import ProcessTree, Start
from resources.processes import start as start_process
from resources.profile import ROOT

POLL_SECONDS = 0.5
GRACE_SECONDS = (
    8  # a step of a small model on a busy CPU and a checkpoint fit; what is cancelled has ended within 10 s
)
KILLED = 137
PLAIN = Layout()


class TrainingError(RuntimeError):
    """A training or evaluation process failed; the message says of what."""


class Killed(TrainingError):
    """It was killed, and nothing says that memory was short; asked again, it goes on from where it was."""


class OutOfMemory(TrainingError):
    """It wanted more memory than it could have.

    Attributes:
        peak_bytes: the most it had, of the device or else of main memory; None where nothing was measured.
    """

    def __init__(self, message: str, peak_bytes: int | None) -> None:
        super().__init__(message)
        self.peak_bytes = peak_bytes


def run_job(
    module: str,
    job: Path,
    run: Path,
    *,
    threads: int | None = None,
    start: Start = start_process,
    each: Callable[[], None] = lambda: None,
    processes: Layout = PLAIN,
    less: str = "",
) -> None:
    """Run `python -m MODULE JOB RUN` until its whole process tree is gone; an exception here ends the tree.

    Args:
        module: of `llm_assets.training`.
        job: the job file.
        run: where the job works and leaves its result.
        threads: CPU threads of each process; by default those of the lease, divided over the processes.
        start: starts the process: a lease's, or `resources.processes.start`.
        each: called twice a second while it runs.
        processes: how many, with which interpreter.
        less: what makes it take less memory, for a person; a training's step knows better.

    Raises:
        OutOfMemory: it ran out of memory, or the kernel ended it for want of it.
        Killed: somebody or something else ended it.
        TrainingError: it failed.
        LaunchError: the layout's interpreter is not there.
    """
    command = processes.command(module, str(job), str(run))
    (run / FAILURE).unlink(missing_ok=True)
    before = oom_kills()
    with start(command, env=processes.variables(threads), cwd=ROOT, grace_seconds=GRACE_SECONDS) as tree:
        code, peak = _waited(tree, each)
    if code != 0:
        failed = _Failed(module.rpartition(".")[2], _failure(run), code, peak, oom_kills() > before)
        raise _error(failed, less)


@dataclass(frozen=True)
class _Failed:
    job: str
    told: dict[str, Any] | None
    code: int
    peak: int
    starved: bool


def _waited(tree: ProcessTree, each: Callable[[], None]) -> tuple[int, int]:
    """The exit code, and the most main memory that its processes had together, in bytes."""
    peak = 0
    while True:
        each()
        peak = max(peak, sum(map(rss, tree_pids(tree.pid))))
        try:
            return tree.wait(POLL_SECONDS), peak
        except subprocess.TimeoutExpired:
            continue


def _failure(run: Path) -> dict[str, Any] | None:
    try:
        return json.loads((run / FAILURE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _error(failed: _Failed, less: str) -> TrainingError:
    job, told, advice = failed.job, failed.told, f"; {less}" if less else ""
    if told is not None and told["kind"] == OUT_OF_MEMORY:
        peak = told.get("peak_bytes") or failed.peak
        return OutOfMemory(f"{job}: {told['message']}{advice} ({told['kind']})", peak or None)
    if failed.code == KILLED:  # what other processes of it say then is only that they miss one
        if failed.starved:
            return OutOfMemory(f"{job}: its process was killed for want of memory{advice}", failed.peak or None)
        return Killed(f"{job}: its process was killed from outside; run again, it goes on where it was")
    if told is None:
        return TrainingError(f"{job}: its process ended with exit code {failed.code}; its output says why")
    return TrainingError(f"{job}: {told['message']} ({told['kind']})")
