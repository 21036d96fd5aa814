"""Where right answers are classes: which class is taken for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_assets.models.scoring import label

MOST = 20  # classes that a picture can show
REPEATED = 2  # examples of a class, on average, below which answers are no classes
LONGEST = 40  # characters of a class; a longer answer is text
OTHER = "(other)"


@dataclass(frozen=True)
class Confusion:
    """Counts of a suite.

    Attributes:
        suite: its name.
        classes: the right answers: rows.
        said: the same and, where it was answered, everything else as one: columns.
        counts: (classes, said).
    """

    suite: str
    classes: tuple[str, ...]
    said: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


def confusions(rows: Sequence[Mapping[str, Any]]) -> Iterator[Confusion]:
    """Of the tuned model, for each suite whose right answers are few and short.

    A class that only examples made of documents have is left out: a picture is not reached by `forget`.
    """
    rows = _without_documents(rows)
    for suite in dict.fromkeys(row["suite"] for row in rows):
        asked = [row for row in rows if row["suite"] == suite and row.get("tuned_answer") is not None]
        classes = tuple(sorted({label(row["expected"]) for row in asked}))
        if _are_classes(classes, len(asked)):
            yield _confusion(suite, classes, asked)


def _without_documents(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    known = {label(row["expected"]) for row in rows if not row["doc_id"]}
    return [row for row in rows if label(row["expected"]) in known]


def _are_classes(classes: Sequence[str], examples: int) -> bool:
    few = 2 <= len(classes) <= MOST and len(classes) * REPEATED <= examples
    return few and all(0 < len(name) <= LONGEST for name in classes)


def _confusion(suite: str, classes: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> Confusion:
    pairs = Counter((label(row["expected"]), label(row["tuned_answer"])) for row in rows)
    others = Counter(right for right, said in pairs.elements() if said not in classes)
    said = (*classes, OTHER) if others else classes
    counts = tuple(tuple(others[name] if one == OTHER else pairs[name, one] for one in said) for name in classes)
    return Confusion(suite, classes, said, counts)
