"""A model that is not better must not replace one that works, and every promotion can be undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm_assets.corpora.serving import is_pinned
from llm_assets.models.promotion import (
    PromotionError,
    decide,
    history,
    known_models,
    promote,
    promoted,
    resolve_model,
    rollback_model,
)
from llm_assets.models.settings import GateSettings
from resources.platform import Platform

FIGURES = {"accuracy": 0.8, "base_accuracy": 0.3, "accuracy_gain": 0.5}
LOSSES = {"loss": 1.0, "base_loss": 3.0, "loss_gain": 2.0}


@pytest.mark.parametrize(
    ("gate", "metrics", "passes", "said"),
    [
        ({"at_least": 0.7, "better_than_base_by": 0.1}, FIGURES, True, "accuracy is 0.800, the base model's 0.300"),
        ({"at_least": 0.9}, FIGURES, False, "accuracy is 0.800, at least 0.9 is asked"),
        ({"better_than_base_by": 0.6}, FIGURES, False, "at least 0.6 higher is asked"),
        ({}, FIGURES | {"accuracy_gain": 0.0}, False, "the base model's"),
        ({"metric": "loss", "at_most": 1.5}, LOSSES, True, "loss is 1.000"),
        ({"metric": "loss", "at_most": 0.5}, LOSSES, False, "at most 0.5 is asked"),
        ({"metric": "accuracy"}, LOSSES, False, "accuracy was not measured"),
    ],
)
def test_the_gate_decides_and_says_why(
    gate: dict[str, Any], metrics: dict[str, float], passes: bool, said: str
) -> None:
    decision = decide(GateSettings.model_validate(gate), metrics)
    assert decision.promote is passes
    assert said in "; ".join(decision.reasons)


def test_promotion_moves_on_and_back(platform: Platform) -> None:
    state = platform.state
    assert promoted(state, "acme", "m") is None
    assert promote(state, "acme", "m", "v1", Path("/models/v1"), FIGURES)
    assert not promote(state, "acme", "m", "v1", Path("/models/v1"), FIGURES)
    assert promote(state, "acme", "m", "v2", Path("/models/v2"), FIGURES)
    assert [entry.version for entry in history(state, "acme", "m")] == ["v2", "v1"]
    assert rollback_model(state, "acme", "m").version == "v1"
    current = promoted(state, "acme", "m")
    assert current is not None
    assert (current.version, current.path) == ("v1", Path("/models/v1"))
    assert is_pinned(state, "acme", "model", "m")
    with pytest.raises(PromotionError, match="none to go back to"):
        rollback_model(state, "acme", "m")


def test_a_name_is_resolved_only_where_one_tenant_has_it(platform: Platform) -> None:
    for tenant in ("acme", "globex"):
        promote(platform.state, tenant, "m", "v1", Path("/m"), FIGURES)
    promote(platform.state, "acme", "other", "v1", Path("/m"), FIGURES)
    assert len(known_models(platform.state)) == 3
    assert resolve_model(platform.state, "globex/m") == ("globex", "m")
    assert resolve_model(platform.state, "other") == ("acme", "other")
    with pytest.raises(PromotionError, match="say which of acme/m, globex/m"):
        resolve_model(platform.state, "m")
    with pytest.raises(PromotionError, match="no model 'x'"):
        resolve_model(platform.state, "x")
