"""One ranking out of two, by properties that hold for any scores."""

from __future__ import annotations

import random

import pytest

from resources.vector_index.fusion import FULL_WEIGHT, LEAST_WEIGHT, dense_weight, depth, fuse


def _random_half(seed: int, size: int = 40) -> dict[str, float]:
    source = random.Random(seed)
    return {f"c{number}": source.uniform(0.1, 20) for number in source.sample(range(100), size)}


@pytest.mark.parametrize("trust", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_every_candidate_is_ranked_once_with_a_score_in_0_to_1(seed, trust):
    text, vector = _random_half(seed), _random_half(seed + 100)
    fused = fuse(text, vector, trust)
    assert fused.keys() == text.keys() | vector.keys()
    assert list(fused.values()) == sorted(fused.values(), reverse=True)
    assert all(0.0 <= score <= 1.0 for score in fused.values())


@pytest.mark.parametrize("seed", range(5))
def test_the_scale_of_a_half_does_not_matter(seed):
    text, vector = _random_half(seed), _random_half(seed + 100)
    scaled = {key: 7 * score for key, score in text.items()}
    moved = {key: 0.5 + score / 100 for key, score in vector.items()}
    expected, found = fuse(text, vector, 0.7), fuse(scaled, moved, 0.7)
    assert found == pytest.approx(expected)
    assert list(found) == list(expected)


def test_a_chunk_that_is_better_in_both_halves_is_better():
    fused = fuse({"a": 9.0, "b": 3.0, "c": 1.0}, {"a": 0.9, "b": 0.5, "d": 0.1}, 0.5)
    assert list(fused)[:2] == ["a", "b"]


@pytest.mark.parametrize("trust", [0.0, 0.5, 1.0])
def test_with_one_half_empty_the_order_of_the_other_stays(trust):
    half = _random_half(3)
    order = sorted(half, key=lambda key: -half[key])
    assert list(fuse(half, {}, trust)) == order
    assert list(fuse({}, half, trust)) == order
    assert fuse({}, {}, trust) == {}


def test_more_trust_moves_the_vector_half_up():
    text, vector = {"words": 10.0, "both": 1.0}, {"meaning": 0.9, "both": 0.2}
    gaps = [(fused := fuse(text, vector, trust))["meaning"] - fused["words"] for trust in (0.0, 0.3, 0.6, 1.0)]
    assert gaps == sorted(gaps)
    assert gaps[0] < -0.9
    assert gaps[-1] == pytest.approx(0.0)


def test_without_trust_noise_cannot_turn_clear_text_results_over():
    text = {f"c{n}": 20.0 - n for n in range(20)}
    noise = {key: random.Random(key).random() for key in text}
    assert list(fuse(text, noise, 0.0)) == list(text)


def test_equal_scores_are_ordered_the_same_every_time():
    assert list(fuse({"b": 1.0, "a": 1.0}, {"a": 0.5, "b": 0.5}, 1.0)) == ["a", "b"]


def test_the_weight_grows_with_trust_between_its_bounds():
    assert [dense_weight(trust) for trust in (0.0, 0.5, 1.0)] == [LEAST_WEIGHT, FULL_WEIGHT / 2, FULL_WEIGHT]
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="between 0"):
            dense_weight(wrong)


def test_enough_candidates_are_fetched_for_many_hits():
    assert depth(10) >= 50
    assert depth(500) >= 1000
