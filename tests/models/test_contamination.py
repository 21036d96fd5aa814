"""A suite that stands in the training examples flatters; that must be seen, whatever frame the prompts share."""

from __future__ import annotations

import random

from llm_assets.models.contamination import contamination_of
from llm_assets.models.similarity import similar_pairs, similar_to

FRAME = "Classify the following sentence into one of the folders.\n\n"
TRAINED = [
    "The tenant may end the lease early.",
    "Invoices are paid within thirty days.",
    "倉庫の契約は毎年更新されます。",
]


def test_exact_and_near_copies_are_counted_and_an_instruction_is_no_copy() -> None:
    examined = [
        ("same", "the tenant MAY end the lease  early."),
        ("near", "The tenant may end the lease early!!"),
        ("japanese", "倉庫の契約は毎年更新されます。"),
        ("clean", "Penguins cannot fly but swim very well."),
    ]
    found = contamination_of([FRAME + one for one in TRAINED], [(name, FRAME + one) for name, one in examined], 0.6)
    assert (found.exact, found.near) == (2, 3)
    assert {name for name, _ in found.worst[:3]} == {"same", "near", "japanese"}
    assert found.worst[-1] == ("clean", 0.0)


def test_the_near_ones_are_those_of_comparing_all_with_all() -> None:
    chance = random.Random(0)
    words = ["lease", "tenant", "rent", "notice", "court", "paid", "late"]
    texts = [" ".join(chance.choice(words) for _ in range(5)) for _ in range(60)]
    known, asked = texts[:40], texts[40:]
    pairs = {j - 40 for i, j, _ in similar_pairs(texts, 0.5) if i < 40 <= j}
    assert similar_to(known, asked, 0.5) == sorted(pairs)
    assert pairs
