"""What the process that answers is told."""

from __future__ import annotations

from dataclasses import dataclass

from llm_assets.training.jobs import Job

ANSWERS = "answers.jsonl"


@dataclass(frozen=True)
class AnswerJob(Job):
    """Prompts for a tuned model.

    Attributes:
        model: folder of the base model.
        weights: sealed folder of the tuned weights.
        data: rows with `key` and `prompt`, JSON lines.
        max_tokens, chat: how prompts were encoded for training.
        max_new_tokens: of an answer.
        one_line: whether an answer ends after its first line.
        batch: prompts at once in memory.
        threads: CPU threads; None: those of the lease.
        label: who is asked, for progress lines.
    """

    model: str
    weights: str
    data: str
    max_tokens: int
    chat: bool
    max_new_tokens: int
    one_line: bool
    batch: int
    threads: int | None
    label: str
