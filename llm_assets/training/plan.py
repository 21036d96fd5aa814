"""Which examples each training step sees: decided beforehand, so that a resumed training sees the same."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

GROUPED_BATCHES = 8  # batches that are sorted by length together: little padding, and still a random order

T = TypeVar("T")


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
    stream: list[int] = []
    epoch = 0
    while len(stream) < steps * batch:
        stream += _shuffled(range(len(lengths)), f"epoch/{seed}/{epoch}")
        epoch += 1
    return Plan(tuple(_grouped(stream[: steps * batch], lengths, batch, seed)), steps)


def _grouped(stream: list[int], lengths: Sequence[int], batch: int, seed: int) -> list[int]:
    """Within each stretch of some batches: like lengths into one batch, and the batches in any order."""
    order: list[int] = []
    for start in range(0, len(stream), batch * GROUPED_BATCHES):
        stretch = sorted(stream[start : start + batch * GROUPED_BATCHES], key=lambda i: (lengths[i], i))
        batches = [stretch[i : i + batch] for i in range(0, len(stretch), batch)]
        order += [i for members in _shuffled(batches, f"batches/{seed}/{start}") for i in members]
    return order


def _shuffled(items: Iterable[T], seed: str) -> list[T]:
    shuffled = list(items)
    random.Random(seed).shuffle(shuffled)  # noqa: S311  (not for secrets)
    return shuffled
