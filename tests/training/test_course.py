"""What is measured must not be trained on, and a long text must be learned whole."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from llm_assets.training.course import CourseError, divided, plan_course
from llm_assets.training.encoding import Encoder
from llm_assets.training.loading import load_tokenizer

ROWS = [
    {"example_id": f"e{n}", "prompt": "", "completion": "the cat sits " * n, "messages": None, "doc_id": f"d{n // 2}"}
    for n in range(1, 21)
]
SETTINGS = {"evaluate_every": 5, "validation": 0.2, "seed": 0, "batch": 4, "epochs": 1, "max_steps": None}


def test_a_long_text_is_divided_and_nothing_of_it_is_lost(tiny: Path) -> None:
    tokenizer = load_tokenizer(str(tiny))
    whole = Encoder(tokenizer, 10_000, chat=False).encode(ROWS[-1])
    pieces = Encoder(tokenizer, 32, chat=False).pieces(ROWS[-1])
    assert len(pieces) > 1
    assert max(map(len, pieces)) == 32
    assert [token for piece in pieces for token in piece.completion] == list(whole.completion)
    assert isinstance(whole.completion, array), "a corpus of Python's own numbers would not fit into memory"
    assert [piece.prompt[0] for piece in pieces[1:]] == [piece.completion[-1] for piece in pieces[:-1]]


def test_an_answer_that_loses_its_end_is_counted(tiny: Path) -> None:
    row = {"prompt": "say it", "completion": "x " * 100, "messages": None}
    assert Encoder(load_tokenizer(str(tiny)), 32, chat=False).pieces(row)[0].cut


def test_documents_are_measured_or_trained_on_but_not_both(tiny: Path) -> None:
    trained, validated = divided(ROWS, 0.2, 0)
    assert len(trained) + len(validated) == len(ROWS)
    assert validated
    assert not {row["doc_id"] for row in trained} & {row["doc_id"] for row in validated}
    course = plan_course(ROWS, Encoder(load_tokenizer(str(tiny)), 64, chat=False), SETTINGS)
    assert course.examples == len(trained)
    assert {row["example_id"] for row in trained} >= set(course.example_ids)
    assert course.tokens_until()[-1] == sum(map(len, course.pieces))
    assert set(course.seen_in(1)) == set(course.example_ids[:4])


def test_one_document_cannot_be_divided() -> None:
    with pytest.raises(CourseError, match="leave evaluate_every out"):
        divided(ROWS[:1], 0.5, 0)
