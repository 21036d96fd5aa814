"""What was measured must replace what was computed, and what ran out must not be tried again for as little."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from llm_assets.launchpad import ParameterError
from llm_assets.models.assets import fine_tune_definitions
from llm_assets.models.memory import Workload
from llm_assets.models.memory.asking import MEMORY_TAG, Plan, plan_of, request_tags, ways_out
from llm_assets.models.memory.choosing import Choice
from llm_assets.models.memory.peaks import (
    MEASURED_MARGIN,
    MOST_RATIO,
    Fact,
    batch_that_fits,
    corrected,
    key_of,
    note,
    noted,
    noted_if_readable,
    smaller,
)
from llm_assets.models.memory.reading import known_model
from llm_assets.models.out_of_memory import Attempt, NotEnoughMemory, RanOut, next_attempt
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec, TrainingSettings
from resources.accelerators.resource import ACCELERATOR_KEY, AcceleratorResource
from resources.dagster_platform import PLATFORM_KEY
from resources.platform import Platform
from resources.profile import Profile
from tests.models.memory.shapes import small_config
from tests.models.test_assets import PlatformAt


def fact(key: str, batch: int, estimated: int, peak: int | None, run_out: int | None = None) -> Fact:
    return Fact(key, "acme/one", False, batch, estimated, peak, run_out)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    small_config("llama").save_pretrained(tmp_path)
    return plan_of(known_model(f"path:{tmp_path}", None, tmp_path), Workload("full", batch=8, tokens=64))


def fine_tune(folder: Path, **training: object) -> FineTuneSpec:
    small_config("llama").save_pretrained(folder / "model")
    settings = {"name": "one", "model": "path:model", "data": {"examples": {"path": "e.jsonl"}}, "training": training}
    return FineTuneSpec("acme", folder, FineTuneSettings.model_validate(settings))


def test_a_measured_peak_replaces_the_estimate_and_scales_those_of_other_micro_batches(
    tmp_path: Path, plan: Plan
) -> None:
    state, facts = Platform(Profile(state_dir=tmp_path / "state")).state, plan.facts()
    estimate = plan.corrected.estimate
    note(state, facts, estimate, peak=round(1.5 * estimate.peak))
    same = corrected(estimate, facts, noted(state, facts))
    assert (same.source, same.peak) == ("measured", round(1.5 * estimate.peak))
    assert same.asked == round(same.peak * (1 + MEASURED_MARGIN))
    other = corrected(estimate, {**facts, "batch": 4}, noted(state, {**facts, "batch": 4}))
    assert (other.source, other.peak) == ("scaled", round(1.5 * estimate.peak))
    assert corrected(estimate, {**facts, "tokens": 128}, noted(state, {**facts, "tokens": 128})).source == "formulas"


def test_a_peak_that_is_far_off_scales_no_further_than_its_bound(plan: Plan) -> None:
    estimate, facts = plan.corrected.estimate, plan.facts()
    wild = fact("another", 4, estimate.peak, 50 * estimate.peak)
    assert corrected(estimate, facts, [wild]).peak == round(MOST_RATIO * estimate.peak)


def test_what_ran_out_is_not_measured_memory(plan: Plan) -> None:
    estimate, facts = plan.corrected.estimate, plan.facts()
    assert corrected(estimate, facts, [fact(key_of(facts), 8, 10, 5, run_out=5)]).source == "formulas"


def test_the_next_run_begins_with_what_fits_unless_it_is_granted_more() -> None:
    known = [fact("a", 16, 1, None, run_out=4000), fact("b", 8, 1, None, run_out=4000), fact("c", 4, 1, 3)]
    assert batch_that_fits(16, 16, 4000, known) == 4
    assert batch_that_fits(16, 16, 8000, known) == 16
    assert batch_that_fits(2, 16, 4000, known) == 2
    assert batch_that_fits(1, 16, 4000, [fact("a", 1, 1, None, run_out=4000)]) is None
    assert smaller(6, 12) == 3
    assert smaller(1, 12) is None


def test_definitions_load_without_a_state_database_and_make_none(tmp_path: Path, plan: Plan) -> None:
    profile = Profile(state_dir=tmp_path / "none")
    assert noted_if_readable(profile, plan.facts()) == []
    assert not (tmp_path / "none").exists()
    away = Profile(state_dir=tmp_path, state_url="postgresql+psycopg2://nobody@127.0.0.1:1/none")
    assert noted_if_readable(away, plan.facts()) == []


def test_the_pool_is_asked_for_a_number_for_the_estimate_or_as_it_says_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert MEMORY_TAG not in request_tags(fine_tune(tmp_path))
    assert request_tags(fine_tune(tmp_path, memory_gb=12))[MEMORY_TAG] == "12"
    assert 0.9 < float(request_tags(fine_tune(tmp_path, memory_gb="auto"))[MEMORY_TAG]) < 2
    missing = fine_tune(tmp_path, memory_gb="auto")
    missing = FineTuneSpec("acme", tmp_path / "elsewhere", missing.settings)
    assert request_tags(missing) == {}
    assert "pool 'small' says it" in caplog.text


def test_ways_out_need_less_than_now(tmp_path: Path) -> None:
    spec = fine_tune(tmp_path, max_tokens=128, method="full", batch=64)
    names = [name for name, _ in ways_out(spec, Profile(state_dir=tmp_path / "state"))]
    assert "training.micro_batch: 1" in names


def test_rows_are_halved_then_the_next_pool_is_asked_then_it_fails_with_all_that_is_known() -> None:
    ran_out = RanOut("small", 8, 1, 4 * 10**9, 3 * 10**9, Choice(8, "ddp"), "train: memory ran out at step 2")
    settings = TrainingSettings(batch=16, next_pool="lora")
    assert next_attempt(ran_out, settings) == Attempt("small", 4)
    last = RanOut("small", 1, 1, 4 * 10**9, 3 * 10**9, Choice(1, "ddp"), "train: memory ran out at step 2")
    assert next_attempt(last, settings) == Attempt("lora", 1)
    for hopeless in (
        settings.model_copy(update={"next_pool": None}),
        settings.model_copy(update={"next_pool": "small"}),
    ):
        with pytest.raises(NotEnoughMemory, match=r"3 GB at the peak, 4 GB granted.*lower training\.max_tokens"):
            next_attempt(last, hopeless)


def test_the_op_that_trains_carries_what_is_asked(tmp_path: Path) -> None:
    spec = fine_tune(tmp_path, memory_gb="auto", pool="inference")
    (tuned,) = [a for a in fine_tune_definitions(spec).assets or () if _stage(a) == "tuned_model"]
    assert isinstance(tuned, dg.AssetsDefinition)
    assert tuned.op.tags["accelerator/memory_gb"] == request_tags(spec)["accelerator/memory_gb"]
    assert tuned.op.tags["accelerator/pool"] == "inference"


def test_a_next_pool_that_is_not_there_is_refused_before_a_run_exists(tmp_path: Path) -> None:
    definitions = fine_tune_definitions(fine_tune(tmp_path))
    (tuned,) = [a for a in definitions.assets or () if _stage(a) == "tuned_model"]
    assert isinstance(tuned, dg.AssetsDefinition)
    config = {"ops": {"acme__one__tuned_model": {"config": {"next_pool": "huge"}}}}
    resources = {PLATFORM_KEY: PlatformAt(state_dir=str(tmp_path)), ACCELERATOR_KEY: AcceleratorResource()}
    with pytest.raises(ParameterError, match=r"training of acme/one: next_pool: .* has no pool 'huge'; pools there"):
        dg.materialize([tuned], run_config=config, resources=resources)


def _stage(asset: object) -> str:
    return asset.key.path[-1] if isinstance(asset, dg.AssetsDefinition) and len(asset.keys) == 1 else ""
