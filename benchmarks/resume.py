"""What a kill -9 costs a training: seconds beyond the steps since the last checkpoint and the start of a process.

python -m benchmarks.resume
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.common import report
from benchmarks.tuning import fine_tune_of, row
from llm_assets.models.children import TrainingError
from llm_assets.models.fine_tune import Run, train
from llm_assets.training.jobs import read_rows
from llm_assets.training.reporting import METRICS
from resources.process_supervisor import descendants

INTERVAL, STEPS, KILLED_AT = 5, 24, 13
ROWS = [row(f"Entry {n} of the register, page {n * 7919}.\nSection:", f" {n % 7}", "train") for n in range(400)]
TRAINING: dict[str, Any] = {"batch": 8, "max_steps": STEPS, "checkpoint_steps": INTERVAL, "max_tokens": 64}


def main() -> None:
    """Train once undisturbed and once with a kill; compare wall seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        undisturbed, run = _timed(Path(scratch) / "undisturbed")
        times = [figure["time"] for figure in run.figures]
        step = (times[-1] - times[0]) / (len(times) - 1)
        start = undisturbed - step * STEPS
        killed, again = _timed(Path(scratch) / "killed", kill=True)
        same = [figure["loss"] for figure in again.figures] == [figure["loss"] for figure in run.figures]
    lost = killed - undisturbed - INTERVAL * step - start
    details = {
        "undisturbed": round(undisturbed, 1),
        "killed": round(killed, 1),
        "step": round(step, 2),
        "start and end": round(start, 1),
        "checkpoint every": INTERVAL,
        "same losses": same,
    }
    report(
        "resume", round(max(0.0, lost), 1), "s lost beyond that", "≤ 0 (2 s of noise)", same and lost <= 2, details
    )


def _timed(folder: Path, *, kill: bool = False) -> tuple[float, Run]:
    folder.mkdir()
    _, spec, run = fine_tune_of(folder, ROWS, TRAINING)
    started = time.monotonic()
    with suppress(*([TrainingError] if kill else [])):
        train(run, spec, ROWS, each=_killing(run) if kill else lambda: None)
    if kill:
        train(run, spec, ROWS)
    return time.monotonic() - started, run


def _killing(run: Run) -> Callable[[], None]:
    """Kill every process of the training once it has come to a step."""

    def each() -> None:
        metrics = run.path / METRICS
        if metrics.exists() and any(line["step"] >= KILLED_AT for line in read_rows(metrics)):
            for pid in descendants(os.getpid()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    return each


if __name__ == "__main__":
    main()
