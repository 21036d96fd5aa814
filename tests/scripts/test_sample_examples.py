"""Guards against an examples file that is stale, lopsided, or repeats itself."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from scripts.sample_documents.project import DOCUMENTS
from scripts.sample_examples.examples import EXAMPLES, read_passages, render


def test_the_committed_examples_are_what_the_passages_make() -> None:
    assert EXAMPLES.read_text(encoding="utf-8") == render()


def test_the_labels_are_the_folders_of_the_corpus_and_are_balanced() -> None:
    labels = Counter(label for _, label in read_passages())
    assert set(labels) == {folder.name for folder in DOCUMENTS.iterdir()}
    assert labels.total() >= 460
    assert max(labels.values()) - min(labels.values()) <= 5


def test_a_quarter_of_the_passages_is_japanese() -> None:
    passages = [passage for passage, _ in read_passages()]
    assert sum(any("\u3040" <= character <= "\u30ff" for character in text) for text in passages) >= len(passages) / 4


def test_no_two_passages_are_near_duplicates() -> None:
    shingles = [{text[at : at + 5] for at in range(len(text) - 4)} for text, _ in read_passages()]
    assert max(len(one & other) / len(one | other) for one, other in combinations(shingles, 2)) < 0.4
