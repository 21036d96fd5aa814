"""Guards against texts that get lost between batches, and batches that outgrow the memory."""

from __future__ import annotations

import random

from resources.embedder.batches import batches


def test_every_text_is_in_one_batch_and_no_batch_exceeds_the_budget() -> None:
    chance = random.Random(3)
    for _ in range(50):
        lengths = [chance.randrange(0, 300) for _ in range(chance.randrange(0, 200))]
        made = list(batches(lengths, 1000))
        assert sorted(index for batch in made for index in batch) == list(range(len(lengths)))
        assert all(len(batch) * max(1, max(lengths[i] for i in batch)) <= 1000 for batch in made)


def test_a_text_beyond_the_budget_is_a_batch_of_its_own() -> None:
    assert list(batches([5, 50, 5], 10)) == [[1], [0, 2]]


def test_longest_texts_come_first_so_that_memory_shows_at_once() -> None:
    made = list(batches([1, 9, 3, 7], 14))
    assert made[0] == [1]
    assert made[1] == [3, 2]
