"""Run a training job in a process tree of its own, and say what went wrong in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from llm_assets.training.failure import FAILURE
from resources import processes
from resources.profile import ROOT

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
    threads: int,
    env: Mapping[str, str] | None = None,
    each: Callable[[], None] = lambda: None,
) -> None:
    """Run `python -m MODULE JOB RUN` until its whole process tree is gone; an exception here ends the tree.

    Args:
        module: of `llm_assets.training`.
        job: the job file.
        run: where the job works and leaves its result.
        threads: CPU threads.
        env: a lease's variables, and where Dagster listens.
        each: called twice a second while it runs.

    Raises:
        TrainingError: it failed.
    """
    command = [sys.executable, "-W", "ignore::FutureWarning", "-m", module, str(job), str(run)]
    (run / FAILURE).unlink(missing_ok=True)
    variables = {"OMP_NUM_THREADS": str(threads), **(env or {})}
    with processes.start(command, env=variables, cwd=ROOT, grace_seconds=GRACE_SECONDS) as tree:
        code = _waited(tree, each)
    if code != 0:
        raise TrainingError(f"{module.rpartition('.')[2]}: {_reason(run, code)}")


def available_threads(wanted: int | None) -> int:
    """The threads that are asked for, or one for each core this process may use."""
    return wanted or len(os.sched_getaffinity(0))


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
