"""YAML that cannot work is refused when it is loaded, with what is permitted."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from llm_assets.models.settings import FineTuneSettings
from resources.profile import ROOT

SUITE = {"name": "general", "path": "general.jsonl", "metrics": ["perplexity"]}


def settings(**changes: Any) -> FineTuneSettings:
    return FineTuneSettings.model_validate({"name": "m", "data": {"examples": {"path": "e.jsonl"}}} | changes)


def test_what_readme_shows_of_a_fine_tune_is_accepted() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [shown] = [block for block in readme.split("```yaml\n")[1:] if block.startswith("  training:")]
    found = settings(**yaml.safe_load(shown.partition("```")[0]))
    assert (found.training.evaluate_every, found.gate.better_than) == (20, "promoted")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {}}, "names no data; permitted: examples, dataset, corpus, or several of them"),
        ({"evaluation": {"metrics": ["bleu"]}}, "'accuracy', 'exact_match', 'f1'"),
        ({"evaluation": {"suites": [SUITE, SUITE]}}, "two suites are called 'general'"),
        ({"evaluation": {"suites": [{"name": "general"}]}}, "suite 'general' has no path"),
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


def test_what_is_measured_is_named_as_a_gate_and_a_test_call_it() -> None:
    examined = settings(evaluation={"metrics": ["f1"], "suites": [SUITE]}).evaluation
    assert examined.measured_names() == ("f1", "loss", "general.perplexity", "general.loss")
    figures = examined.all_names()
    assert {"promoted_general.loss", "base_f1", "general.perplexity_gain", "f1_gain_over_promoted"} <= set(figures)
    assert len(figures) == 5 * len(examined.measured_names())
