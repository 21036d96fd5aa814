"""When a training has learned what there is: decided from its own record, so that a resumed one decides the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Patience:
    """How long to go on without progress.

    Attributes:
        evaluations: without progress, after which it stops.
        min_delta: a lower loss counts as progress from this difference on, in nats.
    """

    evaluations: int
    min_delta: float


@dataclass(frozen=True)
class Best:
    """The best evaluation so far.

    Attributes:
        step: after which it was.
        loss: in nats a token.
        since: evaluations after it, none of them better.
    """

    step: int
    loss: float
    since: int


def best_of(history: Iterable[Mapping[str, float]], min_delta: float) -> Best:
    """The best of a training's evaluations.

    Args:
        history: rows with `step` and, where one was made, `eval_loss`; in order.
        min_delta: see `Patience`.
    """
    best = Best(0, inf, 0)
    for row in history:
        if "eval_loss" not in row:
            continue
        better = row["eval_loss"] < best.loss - min_delta
        best = Best(int(row["step"]), row["eval_loss"], 0) if better else Best(best.step, best.loss, best.since + 1)
    return best
