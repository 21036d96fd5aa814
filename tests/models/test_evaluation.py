"""Three models on several suites: each asked once, each as itself, and every figure of the right pair."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_assets import evaluations
from llm_assets.models import evaluation, promotion
from llm_assets.models.evaluation.asking import answers, answers_file
from llm_assets.models.evaluation.classes import confusions
from llm_assets.models.evaluation.shown import metadata
from llm_assets.models.evaluation.sides import sides_of
from llm_assets.models.examples import ExamplesError
from llm_assets.models.fine_tune import UntrainedError
from llm_assets.models.gate import decide
from llm_assets.models.lineage import lineage_of
from llm_assets.models.settings import EvaluationSettings, FineTuneSpec, GateSettings
from llm_assets.training.checkpoints import seal
from llm_assets.training.jobs import PROVENANCE, read_rows, write_rows
from resources.language_model import open_language_model
from resources.platform import Platform
from resources.profile import Profile
from tests.tiny_model import save_tiny_model
from tests.training.tiny_runs import TinyRun, tiny_run

METRICS = ["accuracy", "exact_match", "f1", "macro_f1", "rouge_l", "chrf", "perplexity"]
SUITES = [
    {"name": "general", "path": "general.jsonl", "kind": "regression", "metrics": ["loss"]},
    {"name": "japanese", "path": "japanese.jsonl"},
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyRun]:
    """Two adapters and a full fine-tune of one tiny model; the first is finished."""
    folder = tmp_path_factory.mktemp("evaluation")
    model = save_tiny_model(folder / "tiny")
    changes: dict[str, dict[str, Any]] = {"first": {}, "second": {"seed": 1}, "full": {"method": "full"}}
    runs = {name: tiny_run(folder, model, max_steps=3, checkpoint_steps=3, **one) for name, one in changes.items()}
    runs["first"].go()
    (folder / "general.jsonl").write_text(
        "".join(json.dumps({"text": f"cat {n} by the river"}) + "\n" for n in range(5))
    )
    japanese = [{"prompt": f"倉庫{n}はどこ", "completion": "庭" if n % 2 else "川"} for n in range(4)]
    (folder / "japanese.jsonl").write_text("".join(json.dumps(row) + "\n" for row in japanese))
    return runs


def spec_with(tiny: TinyRun, **settings: Any) -> FineTuneSpec:
    examined = EvaluationSettings.model_validate({"max_examples": 6, **settings})
    return replace(tiny.spec, settings=tiny.spec.settings.model_copy(update={"evaluation": examined}))


def platform_of(tiny: TinyRun) -> Platform:
    return Platform(Profile(state_dir=tiny.spec.folder / "state"))


def prepared(tiny: TinyRun, **settings: Any) -> evaluation.Examination:
    return evaluation.prepare(platform_of(tiny), tiny.run, spec_with(tiny, **settings), tiny.rows)


def promote(tiny: TinyRun, path: Path | None = None) -> None:
    platform = platform_of(tiny)
    made = lineage_of(platform.state, tiny.spec, tiny.run, tiny.rows, {}, ("chosen",), None)
    promotion.promote(platform, made, path or tiny.run.weights)


@pytest.mark.long
def test_one_life_of_comparisons(trained: dict[str, TinyRun]) -> None:
    """Base against first; first promoted, second against both; then against a full fine-tune; nothing asked twice."""
    first, second, full = (trained[name] for name in ("first", "second", "full"))
    second.go()
    full.go()
    settings: dict[str, Any] = {"metrics": METRICS, "suites": SUITES}
    alone = prepared(first, **settings)
    with pytest.raises(UntrainedError, match="was not examined on 'held_out'"):
        evaluation.judge(alone)
    assert [(side.name, suite.name) for side, suite in evaluation.pending(alone)] == [
        (side, suite) for side in ("base", "tuned") for suite in ("held_out", "general", "japanese")
    ]
    evaluation.ask(alone)
    assert not evaluation.pending(alone)
    assert not list(alone.folder.rglob("*data.jsonl*")), "the text lives elsewhere"
    found = evaluation.judge(alone)
    assert found.compared_with is None
    assert found.suites == {"held_out": 6, "general": 5, "japanese": 4}
    levels = [*METRICS, "loss", "general.loss", *(f"japanese.{name}" for name in [*METRICS, "loss"])]
    assert set(found.estimates) == {
        f"{a}{name}{b}" for name in levels for a, b in (("", ""), ("base_", ""), ("", "_gain"))
    }
    assert found.metrics["loss_gain"] == pytest.approx(found.metrics["base_loss"] - found.metrics["loss"])
    assert found.metrics["perplexity"] == pytest.approx(math.exp(found.metrics["loss"]))
    assert found.metrics["loss_gain"] > 0

    promote(first)
    beside = prepared(second, **settings)
    assert {side.name for side, _ in evaluation.pending(beside)} == {"tuned"}, "base and promoted model were asked"
    evaluation.ask(beside)
    compared = evaluation.judge(beside)
    assert compared.compared_with == first.run.version
    assert compared.metrics["promoted_loss"] == found.metrics["loss"]
    assert compared.metrics["base_japanese.f1"] == found.metrics["base_japanese.f1"]
    difference = compared.metrics["promoted_loss"] - compared.metrics["loss"]
    assert compared.metrics["loss_gain_over_promoted"] == pytest.approx(difference)

    promote(second)
    assert evaluation.judge(prepared(second, **settings)).estimates == compared.estimates, (
        "its promotion changes nothing"
    )
    shutil.rmtree(beside.folder)  # as `forget` does: all three are asked in one process, adapters switched
    evaluation.ask(prepared(second, **settings))
    again = evaluation.judge(prepared(second, **settings))
    assert again.metrics == pytest.approx(compared.metrics, abs=1e-4)

    whole = prepared(full, **settings)
    evaluation.ask(whole)
    third = evaluation.judge(whole)
    assert third.compared_with == second.run.version
    assert third.metrics["promoted_loss"] == pytest.approx(compared.metrics["loss"], abs=1e-4)
    assert third.metrics["loss"] != pytest.approx(third.metrics["promoted_loss"], abs=1e-3)
    _is_kept_and_shown(full, third, whole)


def _is_kept_and_shown(tiny: TinyRun, found: evaluation.Evaluation, examination: evaluation.Examination) -> None:
    platform = platform_of(tiny)
    evaluation.store(platform, tiny.spec, found)
    evaluation.store(platform, tiny.spec, found)
    assert evaluation.evaluation_table(platform, tiny.spec).count() == 15
    kept = evaluation.load(platform, tiny.spec, found.version)
    assert (kept.estimates, kept.notes, kept.contamination) == (found.estimates, found.notes, found.contamination)
    assert [row["row_id"] for row in kept.rows] == [row["row_id"] for row in found.rows]
    assert set(evaluation.artifacts(kept)) >= {
        "evaluation/levels.png",
        "evaluation/differences.png",
        "evaluation/metrics.csv",
    }
    shown = metadata(found, examination)
    assert shown["loss_gain_over_promoted"] == round(found.metrics["loss_gain_over_promoted"], 4)
    assert "data:image/png" in shown["differences"].value


def test_a_promoted_version_whose_folder_is_gone_is_reported(trained: dict[str, TinyRun], tmp_path: Path) -> None:
    first = trained["first"]
    settings = first.spec.settings.model_copy(update={"name": "left_alone"})
    tiny = replace(first, spec=replace(first.spec, settings=settings))
    run = tiny_run(tmp_path, first.run.base.path, max_steps=3, seed=2).run
    run.weights.mkdir(parents=True)
    (run.weights / "adapter_model.safetensors").write_text("were here")
    seal(run.weights.rename(tmp_path / "written"), run.weights)
    promote(replace(tiny, run=run), tmp_path / "gone")
    examination = prepared(tiny, metrics=["loss"])
    assert {side.name for side, _ in evaluation.pending(examination)} == {"base", "tuned"}
    evaluation.ask(examination)
    found = evaluation.judge(examination)
    assert found.compared_with is None
    assert found.incomparable == run.version
    evaluation.store(platform_of(tiny), tiny.spec, found)
    kept = evaluations.find(platform_of(tiny).state, "acme", "model", "left_alone", tiny.run.version)
    assert kept
    promoted = promotion.promoted(platform_of(tiny).state, "acme", "left_alone")
    gate = GateSettings.model_validate({"metric": "loss", "better_than": "promoted"})
    decision = decide(gate, promotion.figures_of(kept, promoted))
    assert decision.promote, decision.reasons
    assert any("gone is gone or not whole" in note for note in found.notes)

    _break_a_loss(examination, examination.sides[-1])
    with pytest.raises(evaluation.EvaluationError, match=r"the tuned model .* a loss that is not a number"):
        evaluation.judge(examination)


def test_a_promoted_version_of_another_base_model_is_asked_on_its_own(
    trained: dict[str, TinyRun], tmp_path: Path
) -> None:
    """An adapter on the wrong base model would answer nonsense, and be beaten by anything."""
    tiny = trained["first"]
    other = save_tiny_model(tmp_path / "other", layers=1)
    platform = platform_of(tiny)

    digest = open_language_model(f"path:{other}", base=None, cache_dir=platform.cache).digest
    cases = [
        (other, digest, None),
        (other, "of before", "version v1 cannot be compared with: .*other has changed since it was trained"),
        (tmp_path / "lost", "another", "version v2 cannot be compared with: it needs another base model"),
    ]

    def sealed(base: Path, base_digest: str, version: str) -> Path:
        written = tmp_path / "written"
        written.mkdir()
        made_of = {"base": f"path:{base}", "base_digest": base_digest, "method": "lora"}
        (written / PROVENANCE).write_text(json.dumps(made_of))
        seal(written, tmp_path / "sealed" / version)
        return tmp_path / "sealed" / version

    name = tiny.spec.settings.model_copy(update={"name": "moved"})
    spec = replace(tiny.spec, settings=name)
    for number, (base, base_digest, unusable) in enumerate(cases):
        version = f"v{number}"
        made = replace(lineage_of(platform.state, spec, tiny.run, tiny.rows, {}, (), None), version=version)
        promotion.promote(platform, made, sealed(base, base_digest, version))
        of_base, promoted, tuned = sides_of(platform, spec, tiny.run)
        assert of_base.base == tuned.base == tiny.run.base.path
        assert promoted.version == version
        if unusable is None:
            assert (promoted.base, promoted.unusable) == (other, None)
        else:
            assert re.match(unusable, promoted.unusable or "")


def _break_a_loss(examination: evaluation.Examination, side: evaluation.Side) -> None:
    file = answers_file(examination, side, examination.suites[0])
    known = answers(examination, side, examination.suites[0])
    assert known
    write_rows(file, [row | {"loss": math.nan} for row in read_rows(file)])


@pytest.mark.parametrize(
    ("content", "suite", "said"),
    [
        (None, {}, "evaluation.suites, 'more': .*more.jsonl: cannot be read"),
        ("", {}, "evaluation.suites, 'more': .*holds no examples"),
        ('{"question": "a"}\n', {}, "evaluation.suites, 'more': .*line 1: lacks the columns"),
        ('{"text": "a"}\n', {"metrics": ["f1"]}, "'more': f1 needs answers, and its examples have no prompts"),
    ],
)
def test_a_suite_that_cannot_be_asked_is_named(
    trained: dict[str, TinyRun], content: str | None, suite: dict[str, Any], said: str
) -> None:
    file = trained["first"].spec.folder / "more.jsonl"
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_text(content)
    with pytest.raises(ExamplesError, match=said):
        prepared(trained["first"], suites=[{"name": "more", "path": "more.jsonl", **suite}])


def test_what_flatters_is_noted(trained: dict[str, TinyRun]) -> None:
    """Examples that are trained on, few of them, all with one right answer."""
    tiny = trained["first"]
    known = [row for row in tiny.rows if row["split"] == "train" and row["completion"].strip() == "garden"][:3]
    lines = [json.dumps({"prompt": row["prompt"], "completion": row["completion"]}) + "\n" for row in known]
    (tiny.spec.folder / "copied.jsonl").write_text("".join(lines))
    examination = prepared(tiny, suites=[{"name": "copied", "path": "copied.jsonl"}])
    evaluation.ask(examination)
    notes = "; ".join(evaluation.judge(examination).notes)
    assert "copied: 3 of 3 examples are also trained on" in notes
    assert "copied: 3 examples are few" in notes
    assert "copied: all right answers are one and the same" in notes
    assert "held_out: 6 of" not in notes


def test_classes_of_documents_are_in_no_picture() -> None:
    def row(expected: str, said: str, doc_id: str | None) -> dict[str, Any]:
        return {"suite": "held_out", "expected": expected, "tuned_answer": said, "doc_id": doc_id}

    rows = [row(" a", "a", None), row(" a", "b", "d"), row(" b", "z", None), row("b", "B.", None)]
    (found,) = confusions([*rows, row("Mr X's illness", "a", "d"), row("Mr X's illness", "a", "d")])
    assert (found.classes, found.said) == (("a", "b"), ("a", "b", "(other)"))
    assert found.counts == ((1, 1, 0), (0, 1, 1))


@pytest.mark.long
def test_a_promoted_version_is_asked_as_it_is_used_whatever_the_new_one_is_trained_on(
    trained: dict[str, TinyRun], tmp_path: Path
) -> None:
    """Asked in a chat template that it never saw, a promoted model would lose to anything."""
    plain = trained["first"]
    chat = tiny_run(tmp_path, plain.run.base.path, max_steps=3, chat=True, max_tokens=128)
    chat.go()
    asked = replace(chat, spec=replace(chat.spec, folder=plain.spec.folder))
    own = prepared(asked, metrics=["exact_match"])
    evaluation.ask(own)
    alone = evaluation.judge(own)

    promote(asked)
    tiny = replace(plain, spec=replace(plain.spec, settings=plain.spec.settings.model_copy(update={"name": "tiny"})))
    beside = prepared(tiny, metrics=["exact_match"])
    sides = {side.name: side for side in beside.sides}
    assert (sides["promoted"].version, sides["promoted"].chat, sides["promoted"].max_tokens) == (
        chat.run.version,
        True,
        128,
    )
    assert (sides["base"].chat, sides["tuned"].chat) == (False, False)
    suite = beside.suites[0]
    assert answers_file(beside, sides["promoted"], suite) == answers_file(own, own.sides[-1], own.suites[0])
    answers_file(beside, sides["promoted"], suite).unlink()
    evaluation.ask(beside)
    assert evaluation.judge(beside).metrics["promoted_exact_match"] == alone.metrics["exact_match"]
    again = answers(beside, sides["promoted"], suite)
    assert again
    losses = [row["loss"] * row["tokens"] for row in again.values()]
    tokens = sum(row["tokens"] for row in again.values())
    assert sum(losses) / tokens == pytest.approx(alone.metrics["loss"], abs=1e-4)
