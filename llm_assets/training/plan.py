"""Which examples each training step sees: decided beforehand, so that a resumed training sees the same."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

GROUPED_BATCHES = 8  # batches that are sorted by length together: little padding, and still a random order


@dataclass(frozen=True)
class Plan:
    """The whole order of a training.

    Attributes:
        order: positions of examples; `batch` of them are one step.
        steps: optimiser steps.
    """

    order: tuple[int, ...]
    steps: int


def plan_steps(lengths: Sequence[int], *, batch: int, epochs: float, max_steps: int | None, seed: int) -> Plan:
    """Shuffle each epoch, and put examples of like length into one batch.

    Args:
        lengths: tokens of each example.
        batch: examples a step.
        epochs: passes over the examples; may be a fraction.
        max_steps: upper bound.
        seed: of the shuffling.
    """
    steps = max(1, math.ceil(len(lengths) * epochs / batch))
    steps = min(steps, max_steps or steps)
    order: list[int] = []
    epoch = 0
    while len(order) < steps * batch:
        order += _epoch(lengths, batch, random.Random(f"{seed}/{epoch}"))  # noqa: S311  (not for secrets)
        epoch += 1
    return Plan(tuple(order[: steps * batch]), steps)


def _epoch(lengths: Sequence[int], batch: int, chance: random.Random) -> list[int]:
    shuffled = list(range(len(lengths)))
    chance.shuffle(shuffled)
    order: list[int] = []
    for start in range(0, len(shuffled), batch * GROUPED_BATCHES):
        group = sorted(shuffled[start : start + batch * GROUPED_BATCHES], key=lambda i: (lengths[i], i))
        batches = [group[i : i + batch] for i in range(0, len(group), batch)]
        last = [batches.pop()] if len(batches[-1]) < batch else []
        chance.shuffle(batches)
        order += [i for members in [*batches, *last] for i in members]
    return order
