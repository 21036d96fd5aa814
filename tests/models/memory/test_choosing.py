"""A decision that flips from run to run, or that each rank takes for itself, ends a training that would work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm_assets.models.memory.asking import plan
from llm_assets.models.memory.choosing import Choice, choose
from llm_assets.models.memory.peaks import note
from llm_assets.models.out_of_memory import Attempt, RanOut, intention, next_attempt
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from llm_assets.training.methods import wants_checkpointing
from resources.platform import Platform
from resources.profile import Profile
from tests.models.memory.shapes import small_config


class Two:
    """Full fine-tunes of one model, on two devices."""

    def __init__(self, folder: Path) -> None:
        small_config("llama").save_pretrained(folder / "model")
        self.folder, self.platform = folder, Platform(Profile(state_dir=folder / "state"))

    def spec(self, name: str = "one", **training: Any) -> FineTuneSpec:
        fixed = {"method": "full", "batch": 16, "max_tokens": 128, "gradient_checkpointing": False}
        settings = {"name": name, "model": "path:model", "data": {"examples": {"path": "e.jsonl"}}}
        settings["training"] = fixed | training
        return FineTuneSpec("acme", self.folder, FineTuneSettings.model_validate(settings))

    def asked(self, spec: FineTuneSpec, **options: Any) -> int:
        return plan(spec, self.platform.profile, on="gpu", devices=2, **options).corrected.asked

    def choose(self, spec: FineTuneSpec, granted: int, batch: int | None = None) -> Choice:
        return choose(spec, self.platform.profile, on="gpu", devices=2, granted=granted, batch=batch)

    def note(
        self, choice: Choice, *, tokens: int | None = None, run_out: int | None = None, part: float = 0.6
    ) -> None:
        """As a step does, with a peak that is a part of the estimate."""
        carried = choice.carried_out(checkpointing=False, tokens=tokens)
        assert carried
        peak = round(part * carried.estimate.peak)
        note(self.platform.state, carried.facts, carried.estimate, peak=peak, run_out=run_out)


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


def test_the_model_is_divided_where_it_does_not_fit_one_device_and_again_after_that_was_measured(two: Two) -> None:
    spec = two.spec()
    whole, divided = two.asked(spec), two.asked(spec, sharding="fsdp")
    assert divided < whole
    assert two.choose(spec, whole).sharding == "ddp"
    first = two.choose(spec, (whole + divided) // 2)
    assert first.sharding == "fsdp"
    two.note(first)
    assert two.asked(spec) == whole, "what a part of the model took says nothing of all of it"
    again = two.choose(spec, (whole + divided) // 2)
    assert (again.sharding, again.plan and again.plan.corrected.source) == ("fsdp", "measured")


def test_sharding_that_is_set_stays_and_four_bits_are_never_divided(two: Two) -> None:
    assert two.choose(two.spec(sharding="ddp"), 1).sharding == "ddp"
    assert two.choose(two.spec(sharding="fsdp"), 10**12).sharding == "fsdp"
    assert two.choose(two.spec(method="qlora"), 1).sharding == "ddp"


def test_a_whole_model_that_ran_out_with_one_row_is_divided(two: Two) -> None:
    spec, granted = two.spec(), 10**12
    choice = two.choose(spec, granted, batch=1)
    two.note(choice, run_out=granted)
    ran_out = RanOut("small", 1, 2, granted, None, choice, "train: memory ran out at step 2")
    following = next_attempt(ran_out, spec.settings.training)
    assert following == Attempt("small")
    assert "the model divided over the devices" in intention(following, ran_out, spec.settings.training)
    assert two.choose(spec, granted).sharding == "fsdp"


def test_rows_of_another_fine_tune_do_not_measure_ours(two: Two) -> None:
    """Those of the first are short; the second's may fill all of `max_tokens`."""
    short, long, granted = two.spec("short"), two.spec("long"), 10**12
    by_formulas = two.asked(long)
    two.note(two.choose(short, granted), tokens=8 * 5, part=0.98)
    measured = plan(short, two.platform.profile, on="gpu", devices=2).corrected
    assert measured.source == "measured"
    ours = plan(long, two.platform.profile, on="gpu", devices=2).corrected
    assert ours.source == "scaled"
    assert ours.asked == pytest.approx(0.98 * by_formulas, rel=0.001)
    two.note(two.choose(short, granted), run_out=granted)
    assert two.choose(short, granted).batch == 4
    assert two.choose(long, granted).batch == 8


def test_activations_are_kept_as_far_as_what_was_granted_holds_them(two: Two) -> None:
    spec = two.spec(gradient_checkpointing="auto", sharding="ddp")
    asked = two.asked(spec)
    assert two.choose(spec, asked).kept_tokens == 8 * 128
    less = two.choose(spec, asked - 10_000_000)
    assert less.kept_tokens is not None
    assert 0 < less.kept_tokens < 8 * 128
    assert two.choose(spec, 1000).kept_tokens == 0, "the weights alone are too much"
    assert wants_checkpointing("auto", less.kept_tokens + 1, less.kept_tokens)
    assert not wants_checkpointing("auto", less.kept_tokens, less.kept_tokens)
    assert not wants_checkpointing("auto", 10**9, None)
    assert not wants_checkpointing(False, 10**9, 0)
