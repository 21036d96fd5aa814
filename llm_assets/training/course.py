"""What a training goes through, fixed before its first step: pieces of examples, in their order, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from llm_assets.training.encoding import Encoded, Encoder
from llm_assets.training.plan import plan_steps
from resources.digests import digest

Row = Mapping[str, Any]


class CourseError(ValueError):
    """Rows that nothing can be learned from as it is set; the message says what to change."""


@dataclass(frozen=True)
class Course:
    """Everything that is seen, in order.

    Attributes:
        pieces: encoded examples; `batch` of them are one step. A long text is several pieces.
        example_ids: which example each piece is of.
        batch: pieces a step.
        steps: optimiser steps.
        validation: pieces that are measured during the training, and not trained on.
        examples: examples that are trained on.
        shortened: of them, those whose prompt lost its middle.
        cut: of them, those whose answer lost its end.
    """

    pieces: tuple[Encoded, ...]
    example_ids: tuple[str, ...]
    batch: int
    steps: int
    validation: tuple[Encoded, ...]
    examples: int
    shortened: int
    cut: int

    def tokens_until(self) -> list[int]:
        """Tokens seen before each step, and at last all of them: steps + 1 figures."""
        lengths = [len(piece) for piece in self.pieces]
        seen = [sum(lengths[i : i + self.batch]) for i in range(0, len(lengths), self.batch)]
        return [0, *accumulate(seen)]

    def most_tokens(self, at_once: int) -> int:
        """The most tokens that lie in memory together, of so many pieces at once."""
        lengths = [len(piece) for piece in self.pieces]
        return max(sum(lengths[i : i + at_once]) for i in range(0, len(lengths), at_once))

    def seen_in(self, step: int) -> list[str]:
        """Ids of the examples of a step, which is counted from 1."""
        return sorted(set(self.example_ids[(step - 1) * self.batch : step * self.batch]))


def plan_course(rows: Sequence[Row], encoder: Encoder, settings: dict[str, Any]) -> Course:
    """Encode and order the rows of a training.

    Args:
        rows: what may be trained on.
        encoder: of the base model.
        settings: `TrainingSettings`.

    Raises:
        CourseError: validation takes all rows.
    """
    trained, validated = divided(rows, settings["validation"] if settings["evaluate_every"] else 0, settings["seed"])
    pieces = [(row["example_id"], piece) for row in trained for piece in encoder.pieces(row)]
    plan = plan_steps(
        [len(piece) for _, piece in pieces],
        batch=settings["batch"],
        epochs=settings["epochs"],
        max_steps=settings["max_steps"],
        seed=settings["seed"],
    )
    return Course(
        pieces=tuple(pieces[i][1] for i in plan.order),
        example_ids=tuple(pieces[i][0] for i in plan.order),
        batch=settings["batch"],
        steps=plan.steps,
        validation=tuple(piece for row in validated for piece in encoder.pieces(row)),
        examples=len(trained),
        shortened=sum(piece.shortened for _, piece in pieces),
        cut=sum(piece.cut for _, piece in pieces),
    )


def divided(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on, and a share to measure on meanwhile: by content, examples of one document together.

    Not the held-out examples of the training set: a training that is stopped by them would know them.

    Raises:
        CourseError: nothing is left on one side.
    """
    if not share:
        return list(rows), []
    names = {_kept_together(row) for row in rows}
    order = sorted(names, key=lambda name: digest("validation", seed, name))
    chosen = set(order[: max(1, round(share * len(order)))])
    sides = (
        [row for row in rows if _kept_together(row) not in chosen],
        [row for row in rows if _kept_together(row) in chosen],
    )
    if not sides[0]:
        raise CourseError(
            f"training.validation: {len(rows)} examples of {len(names)} documents cannot be divided into some to "
            "train on and some to measure on; leave evaluate_every out, or add examples"
        )
    return sides


def _kept_together(row: Row) -> str:
    return row.get("doc_id") or row["example_id"]
