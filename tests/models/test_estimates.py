"""A figure without its uncertainty misleads: the intervals must hold what they promise."""

from __future__ import annotations

import math
import random

import pytest
from sklearn.metrics import f1_score

from llm_assets.models.estimates import Estimate, Statistic, bootstrapped, macro_f1, mean, perplexity, share


def level(statistic: Statistic) -> Estimate:
    return bootstrapped({"x": statistic}, {})["x"]


def test_wilson_intervals_of_known_cases() -> None:
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611."""
    some, none = share([True] * 81 + [False] * 182), share([False] * 20)
    assert (some.low, some.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))
    assert (none.low, none.high) == (0.0, pytest.approx(0.1611, abs=1e-4))


def test_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    chance = random.Random(1)
    found = [level(mean([chance.gauss(2.0, 1.0) for _ in range(40)])) for _ in range(100)]
    assert 86 <= sum(one.low <= 2.0 <= one.high for one in found) <= 100


def test_a_weighted_mean_counts_tokens_and_perplexity_is_its_exponential() -> None:
    assert level(mean([1.0, 4.0], [3, 1])).value == pytest.approx(1.75)
    assert level(perplexity([1.0, 4.0], [3, 1])).value == pytest.approx(math.exp(1.75))


def test_a_paired_difference_is_surer_than_two_separate_figures() -> None:
    chance = random.Random(3)
    base = [chance.gauss(0.0, 5.0) for _ in range(60)]
    tuned = [value + 1.0 + chance.gauss(0.0, 0.1) for value in base]
    found = bootstrapped({"base": mean(base), "tuned": mean(tuned)}, {"gain": ("tuned", "base")})
    assert found["gain"].value == pytest.approx(found["tuned"].value - found["base"].value)
    assert found["gain"].low > 0.9
    assert found["tuned"].low < found["base"].high


def test_macro_f1_is_that_of_scikit_learn_over_the_right_classes() -> None:
    chance = random.Random(5)
    expected = [chance.choice("abc") for _ in range(80)]
    said = [right if chance.random() < 0.6 else chance.choice("abcx") for right in expected]
    found = level(macro_f1(said, expected))
    assert found.value == pytest.approx(f1_score(expected, said, labels=["a", "b", "c"], average="macro"))
    assert found.low < found.value < found.high


def test_one_example_and_one_class_give_figures_and_not_errors() -> None:
    assert level(mean([0.5])) == Estimate(0.5, 0.5, 0.5)
    assert level(macro_f1(["a", "b"], ["a", "a"])).value == pytest.approx(2 / 3)


def test_the_same_examples_give_the_same_interval_twice() -> None:
    values = [float(n % 7) for n in range(50)]
    assert level(mean(values)) == level(mean(values))
