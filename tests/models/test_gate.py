"""A model that is not better must not replace one that works, and whoever reads the decision must understand it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from llm_assets.models.estimates import Estimate
from llm_assets.models.gate import Figures, decide
from llm_assets.models.settings import GateSettings


def sure_of(**values: float | tuple[float, float, float]) -> dict[str, Estimate]:
    """Estimates by name, `__` for a dot; a single number is quite sure."""
    return {
        name.replace("__", "."): Estimate(*(value if isinstance(value, tuple) else (value, value, value)))
        for name, value in values.items()
    }


BASE = sure_of(accuracy=0.8, base_accuracy=0.3, accuracy_gain=(0.5, 0.4, 0.6))
LOSS = sure_of(loss=1.0, base_loss=3.0, loss_gain=2.0)
GENERAL = sure_of(general__loss=2.05, base_general__loss=2.0, general__loss_gain=(-0.05, -0.15, 0.05))
PROMOTED = sure_of(promoted_accuracy=0.79, accuracy_gain_over_promoted=(0.01, -0.02, 0.04))
GENERAL_PROMOTED = sure_of(promoted_general__loss=1.9, general__loss_gain_over_promoted=-0.15)


@pytest.mark.parametrize(
    ("gate", "estimates", "passes", "said"),
    [
        (
            {"at_least": 0.7, "by": 0.1},
            BASE,
            True,
            "accuracy is 0.800, at least 0.7 is asked; accuracy is 0.800, the",
        ),
        ({"at_least": 0.9}, BASE, False, "accuracy is 0.800, at least 0.9 is asked"),
        ({"by": 0.6}, BASE, False, "the base model's 0.300; at least 0.6 higher is asked"),
        ({"by": 0.45}, BASE, True, "at least 0.45 higher is asked"),
        ({"by": 0.45, "sure": True}, BASE, False, "(better by 0.400 to 0.600, 95 %); at least 0.45 higher is asked"),
        ({}, BASE | sure_of(accuracy_gain=0.0), False, "the base model's 0.300; higher is asked"),
        ({"better_than": "nothing"}, BASE | sure_of(accuracy_gain=-0.1), True, ""),
        ({"metric": "loss", "at_most": 1.5}, LOSS, True, "loss is 1.000, at most 1.5 is asked"),
        ({"metric": "loss", "at_most": 0.5}, LOSS, False, "at most 0.5 is asked"),
        ({"metric": "loss", "by": 2.5}, LOSS, False, "at least 2.5 lower is asked"),
        ({"metric": "accuracy"}, LOSS, False, "accuracy was not measured"),
        ({"at_least": 0.1}, BASE | sure_of(accuracy=float("nan")), False, "accuracy is nan"),
        ({}, BASE | sure_of(accuracy_gain=float("nan")), False, "higher is asked"),
        ({"not_worse": {"general.loss": 0.1}}, BASE | GENERAL, True, "general.loss is 2.050, the base model's 2.000"),
        ({"not_worse": {"general.loss": 0.02}}, BASE | GENERAL, False, "at most 0.02 worse is permitted"),
        ({"not_worse": {"general.loss": 0.1}, "sure": True}, BASE | GENERAL, False, "at most 0.1 worse is permitted"),
        ({"not_worse": {"general.loss": 0.1}}, BASE, False, "general.loss was not measured"),
    ],
)
def test_the_gate_decides_and_says_why(
    gate: dict[str, Any], estimates: dict[str, Estimate], passes: bool, said: str
) -> None:
    decision = decide(GateSettings.model_validate(gate), Figures(estimates, "new"))
    assert decision.promote is passes
    assert said in "; ".join(decision.reasons)


@pytest.mark.parametrize(
    ("gate", "passes", "said"),
    [
        ({}, True, "accuracy is 0.800, that of version old 0.790; higher is asked"),
        ({"by": 0.05}, False, "that of version old 0.790; at least 0.05 higher is asked"),
        ({"sure": True}, False, "(better by -0.020 to 0.040, 95 %)"),
        ({"better_than": "base", "by": 0.2}, True, "the base model's 0.300"),
        ({"not_worse": {"general.loss": 0.1}}, False, "general.loss is 2.050, that of version old 1.900"),
        (
            {"better_than": "base", "not_worse": {"general.loss": 0.1}},
            True,
            "general.loss is 2.050, the base model's",
        ),
    ],
)
def test_a_promoted_version_is_the_one_to_beat(gate: dict[str, Any], passes: bool, said: str) -> None:
    estimates = BASE | GENERAL | PROMOTED | GENERAL_PROMOTED
    figures = Figures(estimates, "new", compared_with="old", promoted="old")
    decision = decide(GateSettings.model_validate(gate), figures)
    assert decision.promote is passes
    assert said in "; ".join(decision.reasons)


def test_an_evaluation_beside_another_version_than_the_promoted_one_decides_nothing() -> None:
    figures = Figures(BASE | PROMOTED, "new", compared_with="old", promoted="newer")
    decision = decide(GateSettings(), figures)
    assert not decision.promote
    assert "version newer is promoted now, and was not measured beside it" in decision.reasons[0]
    assert decide(GateSettings(better_than="base"), figures).promote


def test_a_promoted_version_that_cannot_be_asked_any_more_does_not_stay_for_ever() -> None:
    gone = decide(GateSettings(), Figures(BASE, "new", promoted="old", incomparable="old"))
    assert gone.promote
    assert "version old cannot be compared with, so the base model's 0.300" in gone.reasons[0]
    assert not decide(GateSettings(by=0.6), Figures(BASE, "new", promoted="old", incomparable="old")).promote
    assert not decide(GateSettings(), Figures(BASE, "new", promoted="newer", incomparable="old")).promote


def test_losses_of_another_tokenizer_are_held_against_the_base_model() -> None:
    figures = Figures(LOSS | PROMOTED, "new", compared_with="old", promoted="old")
    decision = decide(GateSettings(metric="loss"), figures)
    assert decision.promote
    assert "version old cannot be compared with, so the base model's 3.000; lower is asked" in decision.reasons[0]


def test_a_lower_perplexity_is_better() -> None:
    figures = Figures(
        sure_of(general__perplexity=7.0, base_general__perplexity=9.0, general__perplexity_gain=2.0), "n"
    )
    decision = decide(GateSettings(metric="general.perplexity", by=1), figures)
    assert decision.promote
    assert "at least 1 lower is asked" in decision.reasons[0]


def test_the_promoted_version_itself_is_held_against_the_base_model() -> None:
    assert decide(GateSettings(), Figures(BASE, "same", promoted="same")).promote


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ({"at_least": 2, "at_most": 1}, "nothing could pass"),
        ({"better_than": "nothing", "by": 0.1}, "names none"),
        ({"not_worse": {"loss": -1}}, "not_worse.loss is negative"),
        ({"better_than_base_by": 0.1}, "Extra inputs"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(gate: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        GateSettings.model_validate(gate)
