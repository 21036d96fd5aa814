"""A fine-tune of a model that is made in a second, trained and promoted: to be asked, exported and forgotten from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_assets import evaluations
from llm_assets.models import promotion
from llm_assets.models.fine_tune import Run
from llm_assets.models.settings import AnswersSettings, FineTuneSpec
from resources.platform import Platform
from resources.profile import Profile
from tests.training.tiny_runs import tiny_run

GAIN = {"value": 1.0, "low": 0.9, "high": 1.1}
ASKED = {"inputs": {"path": "inputs.jsonl", "key": "id"}, "prompt": "{question}\nWhere?", "max_new_tokens": 4}


@dataclass(frozen=True)
class Promoted:
    """A promoted model, and what it takes to promote another version of it."""

    platform: Platform
    spec: FineTuneSpec
    run: Run
    model: Path

    @property
    def settings(self) -> AnswersSettings:
        """What it is asked in these tests."""
        return AnswersSettings.model_validate(ASKED)


def promote_tiny(folder: Path, model: Path, **changes: Any) -> Promoted:
    """Train for a few steps and promote, whatever comes out."""
    tiny = tiny_run(folder, model, **({"max_steps": 3, "batch": 4, "micro_batch": 4} | changes))
    platform = Platform(Profile.model_validate({"state_dir": folder / "state", "tracking": {"enabled": False}}))
    tiny.go()
    made = dict.fromkeys(("loss", "base_loss", "loss_gain"), GAIN)
    figures: Mapping[str, float] = dict.fromkeys(made, 1.0)
    evaluations.record(
        platform.state, "acme", "model", tiny.spec.name, tiny.run.version, figures, {"estimates": made, "examples": 3}
    )
    settings = tiny.spec.settings
    gate = settings.gate.model_copy(update={"better_than": "base"})
    spec = FineTuneSpec("acme", folder, settings.model_copy(update={"gate": gate}))
    assert promotion.consider(platform, spec, tiny.run, tiny.rows).moved
    return Promoted(platform, spec, tiny.run, model)
