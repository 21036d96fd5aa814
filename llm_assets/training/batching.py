"""Encoded examples as tensors, padded on the left: what is learned or written next lies at the right edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from llm_assets.training.encoding import IGNORED, Encoded

if TYPE_CHECKING:
    from torch import Tensor


def with_answers(examples: Sequence[Encoded], pad: int) -> dict[str, Any]:
    """Inputs (n, t) with labels (n, k + 1) on the completions, of which the longest has k tokens.

    `logits_to_keep` lets the model compute logits only where the longest completion lies: on a small model with
    a large vocabulary the others would be a third of the work. The first column of labels is never learned, as
    everywhere in transformers: what counts labels leaves it out.
    """
    batch: dict[str, Any] = prompts([(*example.prompt, *example.completion) for example in examples], pad)
    longest = max(len(example.completion) for example in examples)
    labels = torch.full((len(examples), longest + 1), IGNORED)
    for row, example in enumerate(examples):
        labels[row, -len(example.completion) :] = torch.tensor(example.completion)
    return {**batch, "labels": labels, "logits_to_keep": longest + 1}


def prompts(ids: Sequence[Sequence[int]], pad: int) -> dict[str, Tensor]:
    """input_ids, attention_mask and position_ids (n, t), padded on the left."""
    width = max(len(row) for row in ids)
    padded = [[pad] * (width - len(row)) + list(row) for row in ids]
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids])
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    return {"input_ids": torch.tensor(padded), "attention_mask": mask, "position_ids": positions}


def token_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy in nats of each labelled token, 0 elsewhere: (n, k) for labels (n, k + 1).

    Args:
        logits: (n, k or k + 1, vocabulary): what is predicted before each label but the first.
        labels: (n, k + 1).
    """
    kept, targets = _aligned(logits, labels)
    kept = kept.float()
    losses = F.cross_entropy(kept.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return losses.view(targets.shape)


def all_likeliest(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether each row's labelled tokens are all the likeliest ones: (n,) bool."""
    kept, targets = _aligned(logits, labels)
    return ((kept.argmax(-1) == targets) | (targets == IGNORED)).all(1)


def _aligned(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """What is predicted at each place beside what stands at the next one."""
    targets = labels[:, 1:]
    return logits[:, : targets.size(1)], targets
