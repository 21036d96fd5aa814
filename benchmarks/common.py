"""What every benchmark shares: paired timing, where the public data lies, and the closing JSON line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def shared() -> Path | None:
    """The folder of public data beside the checkout, if this machine has one."""
    folder = ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def paired(a: Callable[[], object], b: Callable[[], object], repeats: int) -> tuple[list[float], list[float]]:
    """Wall seconds of `a` and `b`, alternating, so that the machine's noise falls on both alike."""
    times_a, times_b = [], []
    for turn in range(repeats):
        order = [(a, times_a), (b, times_b)]
        for work, times in order if turn % 2 == 0 else reversed(order):
            times.append(seconds(work))
    return times_a, times_b


def report(name: str, value: float, unit: str, goal: str, holds: bool, details: Mapping[str, object]) -> None:
    """Print the closing line: one JSON object."""
    line = {"name": name, "value": value, "unit": unit, "goal": goal, "holds": holds, "details": details}
    print(json.dumps(line, ensure_ascii=False))
