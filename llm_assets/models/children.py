"""Run a training job in a process tree of its own, and say what went wrong in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from llm_assets.training.failure import FAILURE
from resources import processes
from resources.profile import ROOT
from resources.threads import THREADS_VARIABLE

POLL_SECONDS = 0.5
GRACE_SECONDS = 20  # a step of a small model on a busy CPU and a checkpoint fit into it
KILLED = 137


class TrainingError(RuntimeError):
    """A training or evaluation process failed; the message says of what."""


def run_job(
    module: str,
    job: Path,
    run: Path,
    *,
    threads: int | None = None,
    start: processes.Start = processes.start,
    each: Callable[[], None] = lambda: None,
) -> None:
    """Run `python -m MODULE JOB RUN` until its whole process tree is gone; an exception here ends the tree.

    Args:
        module: of `llm_assets.training`.
        job: the job file.
        run: where the job works and leaves its result.
        threads: CPU threads; by default those of the lease.
        start: starts the process: a lease's, or `processes.start`.
        each: called twice a second while it runs.

    Raises:
        TrainingError: it failed.
    """
    command = [sys.executable, "-W", "ignore::FutureWarning", "-m", module, str(job), str(run)]
    (run / FAILURE).unlink(missing_ok=True)
    wanted = {THREADS_VARIABLE: str(threads)} if threads else {}
    with start(command, env=wanted, cwd=ROOT, grace_seconds=GRACE_SECONDS) as tree:
        code = _waited(tree, each)
    if code != 0:
        raise TrainingError(f"{module.rpartition('.')[2]}: {_reason(run, code)}")


def _waited(tree: processes.ProcessTree, each: Callable[[], None]) -> int:
    while True:
        each()
        try:
            return tree.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _reason(run: Path, code: int) -> str:
    try:
        failure = json.loads((run / FAILURE).read_text(encoding="utf-8"))
        return f"{failure['message']} ({failure['kind']})"
    except FileNotFoundError:
        if code == KILLED:
            return "its process was killed, mostly for want of memory; lower training.micro_batch or max_tokens"
        return f"its process ended with exit code {code}; its output says why"
