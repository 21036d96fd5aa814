"""YAML that cannot work is refused when it is loaded, with what is permitted."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from llm_assets.models.settings import FineTuneSettings


def settings(**changes: Any) -> FineTuneSettings:
    return FineTuneSettings.model_validate({"name": "m", "data": {"examples": {"path": "e.jsonl"}}} | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {}}, "names no data; permitted: examples, corpus, or both"),
        ({"gate": {"metric": "bleu"}}, "'accuracy', 'exact_match' or 'loss'"),
        ({"gate": {"at_lest": 0.7}}, "Extra inputs are not permitted"),
        ({"training": {"batch": 16, "micro_batch": 5}}, "micro_batch is 5: it must divide batch"),
        ({"training": {"schedule": "cosin"}}, "'cosine', 'linear' or 'constant'"),
        ({"data": {"examples": {"path": "e.jsonl", "columns": {"question": "q"}}}}, "'prompt', 'completion'"),
        ({"data": {"examples": {"path": "e.jsonl"}, "held_out": 1.5}}, "less than 1"),
    ],
)
def test_a_wrong_field_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(**changes)


def test_how_a_training_is_carried_out_does_not_decide_its_result() -> None:
    plain = settings().training.decisive
    execution = {"micro_batch": 2, "threads": 1, "checkpoint_steps": 5, "pool": "lora"}
    assert settings(training=execution).training.decisive == plain
    examined = settings(evaluation={"batch": 2, "pool": "lora"}).evaluation.decisive
    assert examined == settings().evaluation.decisive
    assert settings(training={"lora": {"rank": 8}}).training.decisive != plain
