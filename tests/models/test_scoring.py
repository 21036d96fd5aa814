"""A figure without its uncertainty misleads: the intervals must hold what they promise."""

from __future__ import annotations

import random

import pytest

from llm_assets.models.scoring import accurate, exact_match, mean, paired_difference, share


def test_accurate_forgives_width_case_spacing_and_a_full_stop() -> None:
    assert accurate(" Ｃontracts。\n", "contracts")
    assert not accurate("contracts and terms", "contracts")
    assert not exact_match("Contracts", "contracts")
    assert exact_match(" contracts\n", "contracts")


def test_wilson_intervals_of_known_cases() -> None:
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611."""
    some, none = share([True] * 81 + [False] * 182), share([False] * 20)
    assert (some.low, some.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))
    assert (none.low, none.high) == (0.0, pytest.approx(0.1611, abs=1e-4))


def test_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    chance = random.Random(1)
    held = sum(
        (found := mean([chance.gauss(2.0, 1.0) for _ in range(40)])).low <= 2.0 <= found.high for _ in range(100)
    )
    assert 86 <= held <= 100


def test_a_weighted_mean_counts_tokens() -> None:
    assert mean([1.0, 4.0], [3, 1]).value == pytest.approx(1.75)


def test_a_paired_difference_is_surer_than_two_separate_figures() -> None:
    chance = random.Random(3)
    base = [chance.gauss(0.0, 5.0) for _ in range(60)]
    tuned = [value + 1.0 + chance.gauss(0.0, 0.1) for value in base]
    gain = paired_difference(base, tuned)
    assert gain.low > 0.9
    assert mean(tuned).low < mean(base).high
