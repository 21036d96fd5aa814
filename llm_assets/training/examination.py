"""What the evaluating process is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llm_assets.training.jobs import Job


@dataclass(frozen=True)
class Question:
    """One suite, put to one model.

    Attributes:
        side: `base`, `promoted` or `tuned`.
        suite: its name, for progress lines.
        model: folder of the base model.
        weights: sealed folder of tuned weights, or None for the base model itself.
        data: rows of the suite, JSON lines.
        max_tokens, chat: how rows were encoded for its training; of a base model, for that of the tuned one.
        answers: whether the model has to write; else only its loss is wanted.
        file: where the result goes: one row an example, example_id, loss, tokens and answer.
    """

    side: str
    suite: str
    model: str
    weights: str | None
    data: str
    max_tokens: int
    chat: bool
    answers: bool
    file: str


@dataclass(frozen=True)
class EvaluateJob(Job):
    """An evaluation.

    Attributes:
        questions: each a `Question` as a dictionary.
        batch: examples at once in memory.
        max_new_tokens: of an answer; None: what a suite's longest right answer needs.
        threads: CPU threads; None: those of the lease.
        label: who is evaluated, for progress lines.
    """

    questions: list[dict[str, Any]]
    batch: int
    max_new_tokens: int | None
    threads: int | None
    label: str

    @property
    def asked(self) -> list[Question]:
        return [Question(**question) for question in self.questions]
