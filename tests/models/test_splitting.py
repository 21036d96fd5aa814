"""What is examined must not have been learned: alike examples are on one side, in Japanese too."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from llm_assets.models.examples import Example
from llm_assets.models.similarity import normalised, shingles, similar_pairs, without_frame
from llm_assets.models.splitting import split

WORDS = [f"{a}{b}" for a, b in itertools.product(("ka", "lo", "mi", "ne", "pu"), ("dra", "sti", "wen", "zor"))]


def divide(examples: list[Example], **changes: Any) -> Any:
    return split(examples, **({"held_out": 0.3, "duplicates_at": 0.95, "together_at": 0.6, "seed": 0} | changes))


def sentences(count: int) -> list[Example]:
    chance = random.Random(5)
    return [Example(" ".join(chance.choices(WORDS, k=12)), f" {i % 3}") for i in range(count)]


def test_no_example_is_lost_and_none_is_on_both_sides() -> None:
    examples = sentences(200)
    division = divide(examples)
    train, held_out = ({e.example_id for e in side} for side in (division.train, division.held_out))
    assert not train & held_out
    assert train | held_out == {e.example_id for e in examples}
    assert 0.2 < len(held_out) / 200 < 0.4


def test_order_does_not_matter_and_the_seed_does() -> None:
    examples = sentences(100)
    assert divide(examples) == divide(examples[::-1])
    assert divide(examples).held_out != divide(examples, seed=1).held_out


def test_a_new_example_moves_no_other() -> None:
    examples = sentences(100)
    before = {e.example_id for e in divide(examples).held_out}
    after = {e.example_id for e in divide([*examples, Example("something else entirely, unheard of", " 1")]).held_out}
    assert before <= after
    assert len(after - before) <= 1


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (
            "The tenant shall pay the rent on the first day of each month.",
            "The tenant shall pay the rent on the first day of every month.",
        ),
        (
            "賃借人は毎月一日に賃料を賃貸人の指定する口座に支払うものとする。",
            "賃借人は毎月一日に賃料を賃貸人の指定する口座に振り込むものとする。",
        ),
        ("ＦＵＬＬ　ＷＩＤＴＨ text is the same text", "full width TEXT is  the same text"),
    ],
)
def test_alike_prompts_are_on_one_side_for_every_seed(a: str, b: str) -> None:
    both = [Example(a, " x"), Example(b, " y")]
    for seed in range(12):
        division = divide([*sentences(40), *both], seed=seed)
        assert set(both) <= set(division.train) or set(both) <= set(division.held_out)


def test_examples_of_one_document_are_on_one_side() -> None:
    parts = [Example(e.prompt, e.completion, origin="doc", doc_id="d") for e in sentences(60)[40:]]
    for seed in range(8):
        division = divide([*sentences(40), *parts], seed=seed)
        sides = {e in set(division.train) for e in parts}
        assert len(sides) == 1


def test_duplicates_are_removed_but_not_where_the_answer_differs() -> None:
    text = "An employee shall lock the screen whenever the desk is left, without exception and however briefly"
    examples = [
        Example(text, " a"),
        Example(text, " a"),
        Example(text.upper() + ".", " a"),
        Example(text + "!", " b"),
    ]
    division = divide([*sentences(20), *examples])
    kept = [e for e in (*division.train, *division.held_out) if e.prompt.casefold().startswith("an employee")]
    assert division.exact_duplicates == 1
    assert division.near_duplicates == 1
    assert sorted(e.completion for e in kept) == [" a", " b"]


def test_a_common_instruction_makes_nothing_alike() -> None:
    frame = "Read the following passage with care and name the kind of document it was taken from: {}\nKind:"
    examples = [Example(frame.format(e.prompt[:20]), e.completion) for e in sentences(60)]
    assert divide(examples).groups > 50


def test_similar_pairs_are_exactly_those_of_a_plain_comparison() -> None:
    chance = random.Random(2)
    texts = [" ".join(chance.choices(WORDS[:6], k=6)) for _ in range(80)]
    sets = [shingles(normalised(text)) for text in texts]
    for threshold in (0.3, 0.6, 0.95, 1.0):
        plain = {
            (i, j)
            for i, j in itertools.combinations(range(len(texts)), 2)
            if len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= threshold
        }
        assert {(i, j) for i, j, _ in similar_pairs(texts, threshold)} == plain


def test_the_frame_is_what_all_texts_share() -> None:
    assert without_frame(["say: ab!", "say: cd!"]) == ["ab", "cd"]
    assert without_frame(["aa", "aaa"]) == ["", "a"]
    assert without_frame(["alone"]) == ["alone"]
