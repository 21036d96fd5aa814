"""Trainings of a model that is made in a second, so that what several processes do together can be compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_assets.models.fine_tune import Run, open_run, train
from llm_assets.models.launching import Layout
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from resources.platform import Platform
from resources.profile import Profile
from tests.models.real_model import example_rows, rows_of

PLAIN = Layout()


@dataclass(frozen=True)
class TinyRun:
    """A training of the tiny model, begun or finished."""

    run: Run
    spec: FineTuneSpec
    rows: list[dict[str, Any]]

    @property
    def losses(self) -> list[float]:
        return [row["loss"] for row in self.run.figures]

    def go(self, layout: Layout = PLAIN, **options: Any) -> bool:
        """Train it, or go on."""
        return train(self.run, self.spec, self.rows, layout=layout, **options)


def tiny_run(folder: Path, model: Path, **changes: Any) -> TinyRun:
    """A training of a few steps of 8 examples in `folder`; `changes` go into its training settings."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "examples.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in example_rows()))
    training = {
        "batch": 8,
        "micro_batch": 2,
        "epochs": 2000,
        "max_steps": 30,
        "learning_rate": 2e-3,
        "checkpoint_steps": 5,
        "threads": 1,
    }
    settings = {
        "name": "tiny",
        "model": f"path:{model}",
        "data": {"examples": {"path": file.name}, "held_out": 0.2},
        "training": training | changes,
        "evaluation": {"max_examples": 3},
        "gate": {"metric": "loss"},
    }
    spec = FineTuneSpec("acme", folder, FineTuneSettings.model_validate(settings))
    rows = rows_of(spec)
    return TinyRun(open_run(Platform(Profile(state_dir=folder / "state")), spec, rows), spec, rows)


class Interrupt(Exception):
    """Ends the wait for a training, as cancelling a run does."""


def interrupt_when(fact: Callable[[], object]) -> Callable[[], None]:
    """Raise `Interrupt` as soon as a fact holds; called while a training runs."""

    def each() -> None:
        if fact():
            raise Interrupt

    return each
