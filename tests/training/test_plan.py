"""The order of the data is part of the result: it must be the same each time, and complete."""

from __future__ import annotations

import random
from collections import Counter

from llm_assets.training.plan import plan_steps

LENGTHS = [random.Random(n).randint(5, 300) for n in range(203)]


def test_every_epoch_shows_every_example_once() -> None:
    plan = plan_steps(LENGTHS, batch=7, epochs=2, max_steps=None, seed=0)
    assert set(Counter(plan.order).values()) == {2}
    assert len(plan.order) == plan.steps * 7 == 2 * len(LENGTHS)


def test_the_seed_decides_the_order() -> None:
    first, again, other = (plan_steps(LENGTHS, batch=8, epochs=1, max_steps=None, seed=s) for s in (0, 0, 1))
    assert first == again != other


def test_steps_are_bounded() -> None:
    assert plan_steps(LENGTHS, batch=8, epochs=3, max_steps=5, seed=0).steps == 5
    assert plan_steps(LENGTHS[:3], batch=8, epochs=0.1, max_steps=None, seed=0).steps == 1


def test_batches_of_like_length_need_little_padding() -> None:
    plan = plan_steps(LENGTHS, batch=8, epochs=4, max_steps=None, seed=0)
    lengths = [LENGTHS[i] for i in plan.order]
    batches = [lengths[i : i + 8] for i in range(0, len(lengths), 8)]
    padded = sum(max(batch) * len(batch) for batch in batches)
    assert padded < 1.25 * sum(lengths)
    shuffled = random.Random(0).sample(lengths, len(lengths))
    unsorted = sum(max(shuffled[i : i + 8]) * 8 for i in range(0, len(shuffled), 8))
    assert unsorted > 1.4 * sum(lengths)
