"""What is promoted must be one thing, known to come from somewhere, and every promotion can be undone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from llm_assets import evaluations
from llm_assets.corpora.serving import is_pinned
from llm_assets.models import lineage
from llm_assets.models.cards import body
from llm_assets.models.fine_tune import Run
from llm_assets.models.lineage import Lineage
from llm_assets.models.promotion import (
    PromotionError,
    consider,
    history,
    kept_paths,
    known_models,
    promote,
    promoted,
    resolve_model,
    rollback_model,
)
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec, GateSettings, TrainingSettings
from llm_assets.training.checkpoints import seal
from resources import state_schema as schema
from resources.language_model import LanguageModel
from resources.platform import Platform

WEIGHTS = "adapter_model.safetensors"
FIGURES = {"accuracy": 0.8, "base_accuracy": 0.3, "accuracy_gain": 0.5}


def made(version: str = "v1", tenant: str = "acme", model: str = "m") -> Lineage:
    return Lineage(
        tenant=tenant,
        model=model,
        version=version,
        data_version="d" * 32,
        config_digest="c" * 12,
        config={"description": "Says where.", "training": {"method": "lora"}, "gate": {"metric": "accuracy"}},
        code_version="code 1",
        base="path:base",
        base_digest="b" * 32,
        evaluation=FIGURES,
        decision=["it is good"],
        documents=3,
        run_key=f"{tenant}/{model}/{version}",
        dagster_run="run",
        made_at=1.0,
    )


def promote_at(platform: Platform, version: str, **who: str) -> bool:
    """Promote a version whose weights are some sealed bytes."""
    path = platform.runs("acme", "m") / version
    if not path.exists():
        sealed(path)
    return promote(platform, made(version, **who), path)


def sealed(path: Path) -> None:
    """Weights of some bytes: neither a gate nor a promotion opens them."""
    written = path.with_name(f"{path.name}-written")
    written.mkdir(parents=True)
    (written / WEIGHTS).write_bytes(b"weights")
    seal(written, path)


def told(platform: Platform) -> list[tuple[str, str]]:
    table = schema.tracking_outbox
    rows = platform.state.rows(sa.select(table).order_by(table.c.seq))
    return [(row["kind"], row["content"]["version"]) for row in rows]


def test_promotion_moves_on_and_back_and_the_registry_is_told(platform: Platform) -> None:
    state = platform.state
    assert promoted(state, "acme", "m") is None
    assert promote_at(platform, "v1")
    assert not promote_at(platform, "v1")
    assert promote_at(platform, "v2")
    assert [entry.version for entry in history(state, "acme", "m")] == ["v2", "v1"]
    assert kept_paths(state, "acme", "m") == {platform.runs("acme", "m") / name for name in ("v1", "v2")}
    assert rollback_model(platform, "acme", "m").version == "v1"
    current = promoted(state, "acme", "m")
    assert current is not None
    assert (current.version, current.path.name) == ("v1", "v1")
    assert is_pinned(state, "acme", "model", "m")
    with pytest.raises(PromotionError, match="none to go back to"):
        rollback_model(platform, "acme", "m")
    moves = [("version", "v1"), ("alias", "v1"), ("version", "v2"), ("alias", "v2"), ("alias", "v1")]
    assert told(platform) == moves


@pytest.mark.parametrize("damage", [Path.unlink, lambda weights: weights.write_bytes(b"broken")])
def test_a_rollback_to_weights_that_are_not_whole_is_refused(
    platform: Platform, damage: Callable[[Path], object]
) -> None:
    promote_at(platform, "v1")
    promote_at(platform, "v2")
    damage(platform.runs("acme", "m") / "v1" / WEIGHTS)
    with pytest.raises(PromotionError, match="the weights of version v1 are not whole in"):
        rollback_model(platform, "acme", "m")
    assert [entry.version for entry in history(platform.state, "acme", "m")] == ["v2", "v1"]
    assert not is_pinned(platform.state, "acme", "model", "m")


def test_a_rollback_that_cannot_be_pinned_does_not_happen(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else automation would promote again what was just taken back."""

    def full(*_: object) -> None:
        raise OSError("disk full")

    promote_at(platform, "v1")
    promote_at(platform, "v2")
    with monkeypatch.context() as patch:
        patch.setattr("llm_assets.models.promotion.pin_in", full)
        with pytest.raises(OSError, match="disk full"):
            rollback_model(platform, "acme", "m")
    assert [entry.version for entry in history(platform.state, "acme", "m")] == ["v2", "v1"]


def test_of_many_promotions_at_once_one_is_promoted_and_none_is_lost_or_doubled(platform: Platform) -> None:
    versions = [f"v{n}" for n in range(4)] * 2
    for version in set(versions):
        sealed(platform.runs("acme", "m") / version)
    moved: list[str] = []
    barrier = threading.Barrier(len(versions))

    def one(version: str) -> None:
        barrier.wait()
        if promote_at(platform, version):
            moved.append(version)

    threads = [threading.Thread(target=one, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [entry.version for entry in history(platform.state, "acme", "m")]
    assert sorted(kept) == sorted(moved)
    assert all(first != second for first, second in pairwise(kept))
    assert set(kept) == {f"v{n}" for n in range(4)}
    assert told(platform)[-1] == ("alias", kept[0]), "the registry ends with another version than the state"


def test_lineage_is_kept_with_the_promotion_or_not_at_all(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(lineage, "record_in", full)
        with pytest.raises(OSError, match="disk full"):
            promote_at(platform, "v1")
    assert promoted(platform.state, "acme", "m") is None
    assert told(platform) == []
    promote_at(platform, "v1")
    assert lineage.find(platform.state, "acme", "m", "v1") == made("v1")
    text = "\n".join(lineage.lines(made("v1")))
    for part in ("path:base", "d" * 12, "c" * 12, "code 1", "acme/m/v1", "from 3 documents", "it is good"):
        assert part in text


def test_a_name_is_resolved_only_where_one_tenant_has_it(platform: Platform) -> None:
    for tenant in ("acme", "globex"):
        promote_at(platform, "v1", tenant=tenant)
    promote_at(platform, "v1", model="other")
    assert len(known_models(platform.state)) == 3
    assert resolve_model(platform.state, "globex/m") == ("globex", "m")
    assert resolve_model(platform.state, "other") == ("acme", "other")
    with pytest.raises(PromotionError, match="say which of acme/m, globex/m"):
        resolve_model(platform.state, "m")
    with pytest.raises(PromotionError, match="no model 'x'"):
        resolve_model(platform.state, "x")


@pytest.fixture
def finished(platform: Platform, tmp_path: Path) -> tuple[FineTuneSpec, Run]:
    """A fine-tune and a run of it whose weights are some bytes: a gate never opens them."""
    settings = {"name": "m", "description": "Says where.", "data": {"examples": {"path": "e.jsonl"}}}
    base = tmp_path / "base"
    base.mkdir()
    (base / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Base\n")
    model = LanguageModel("path:base", base, "b" * 32)
    run = Run(platform.runs("acme", "m") / "0123456789abcdef", "key", model, "data", TrainingSettings())
    sealed(run.weights)
    return FineTuneSpec("acme", tmp_path, FineTuneSettings.model_validate(settings)), run


def evaluate(platform: Platform, run: Run, accuracy: float, **details: Any) -> None:
    """Record an evaluation as the asset does."""
    values = {"accuracy": accuracy, "base_accuracy": 0.3, "accuracy_gain": accuracy - 0.3}
    estimates = {name: {"value": value, "low": value - 0.1, "high": value + 0.1} for name, value in values.items()}
    details = {"estimates": estimates, "examples": 20} | details
    evaluations.record(platform.state, "acme", "model", "m", run.version, values, details)


ROWS = [{"example_id": "1", "split": "train", "doc_id": None}]


def test_a_run_that_passes_is_promoted_with_its_card(platform: Platform, finished: tuple[FineTuneSpec, Run]) -> None:
    spec, run = finished
    with pytest.raises(PromotionError, match="was not examined; materialise acme/m/evaluation"):
        consider(platform, spec, run, ROWS)
    evaluate(platform, run, 0.2)
    assert "is not promoted: accuracy is 0.200" in consider(platform, spec, run, ROWS).summary
    assert "It may not be promoted" in (run.path / "card" / "README.md").read_text()
    evaluate(platform, run, 0.8, contamination={"exact": 0})
    outcome = consider(platform, spec, run, ROWS, "dagster-run")
    assert outcome.moved
    card = (run.path / "card" / "README.md").read_text()
    assert card == outcome.card
    assert body(card).startswith("# acme/m, version ")
    for part in (
        'license: "apache-2.0"',
        'base_model: "path:base"',
        'library_name: "peft"',
        "Says where.",
        "| accuracy | 0.300 (0.200 to 0.400) |  | 0.800 (0.700 to 0.900) | 0.500 (0.400 to 0.600) |",
        "It may be promoted",
        "accuracy is 0.800, the base model's 0.300",
        "Measured on 20 examples",
        "| training.learning_rate | `0.001` |",
        "dagster-run",
    ):
        assert part in card, part
    found = lineage.find(platform.state, "acme", "m", run.version)
    assert found is not None
    assert found.code_version.count("code ") == 1
    assert json.dumps(found.config)


def test_a_run_that_loses_a_regression_suite_is_not_promoted_unless_the_gate_permits_it(
    platform: Platform, finished: tuple[FineTuneSpec, Run]
) -> None:
    spec, run = finished
    suites = [{"name": name, "path": "e.jsonl", "kind": "regression"} for name in ("general", "texts")]
    for name, general, texts, tolerated, passes in (
        ("as good", 0.0, 0.0, {}, True),
        ("worse", -0.05, 0.0, {}, False),
        ("worse, as is permitted", -0.05, 0.0, {"general.accuracy": 0.1}, True),
        ("worse where only losses are measured", 0.0, -0.05, {}, False),
    ):
        gains = {"general.accuracy": general, "texts.loss": texts}
        levels = {"accuracy": (0.8, 0.3, 0.5)} | {one: (0.5, 0.5, gain) for one, gain in gains.items()}
        values = {
            f"{side}{one}{gain}": value
            for one, told in levels.items()
            for (side, gain), value in zip((("", ""), ("base_", ""), ("", "_gain")), told, strict=True)
        }
        estimates = {one: {"value": value, "low": value, "high": value} for one, value in values.items()}
        evaluations.record(platform.state, "acme", "model", "m", run.version, values, {"estimates": estimates})
        changed = spec.settings.model_dump() | {
            "evaluation": {"metrics": ["accuracy"], "suites": suites},
            "gate": {"better_than": "base", "not_worse": tolerated},
        }
        settings = FineTuneSettings.model_validate(changed)
        outcome = consider(platform, FineTuneSpec("acme", spec.folder, settings), run, ROWS)
        assert outcome.decision.promote is passes, name
        said = "; ".join(outcome.decision.reasons)
        assert passes or "nothing worse is permitted" in said


def test_a_pinned_model_stays_though_a_better_one_passes(
    platform: Platform, finished: tuple[FineTuneSpec, Run]
) -> None:
    spec, run = finished
    promote_at(platform, "v1")
    promote_at(platform, "v2")
    rollback_model(platform, "acme", "m")
    evaluate(platform, run, 0.8, compared_with="v1")
    settings = spec.settings.model_copy(update={"gate": GateSettings(better_than="base")})
    outcome = consider(platform, FineTuneSpec("acme", spec.folder, settings), run, ROWS)
    assert (outcome.moved, outcome.pinned) == (False, True)
    assert "a rollback pins the model; version v1 stays promoted" in outcome.summary
