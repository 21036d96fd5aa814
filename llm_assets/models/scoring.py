"""Is an answer right, and how sure is the figure."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Z95 = 1.959964  # the normal distribution's 97.5 % quantile
RESAMPLES = 2000
CLOSING = " \t.,;:!?。、．，！？"


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float


def exact_match(answer: str, expected: str) -> bool:
    """Letter by letter; white space around does not count."""
    return answer.strip() == expected.strip()


def accurate(answer: str, expected: str) -> bool:
    """Width, case, spacing and a closing punctuation mark do not count either."""
    return _plain(answer) == _plain(expected)


def share(outcomes: Sequence[bool]) -> Estimate:
    """Share of successes with the Wilson score interval (E. B. Wilson, 1927): honest also near 0 and 1.

    Args:
        outcomes: at least one.
    """
    n, p = len(outcomes), sum(outcomes) / len(outcomes)
    centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n)) / (1 + Z95**2 / n)
    return Estimate(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)))


def mean(values: Sequence[float], weights: Sequence[float] | None = None) -> Estimate:
    """(Weighted) mean with a percentile bootstrap interval; examples are drawn, and their weights with them.

    Args:
        values: at least one, one an example.
        weights: for example tokens, where each value is a mean over tokens.
    """
    import numpy as np

    w = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)
    x = np.asarray(values, dtype=float) * w
    chance = np.random.default_rng(0)
    drawn = np.array([_resampled(x, w, chance) for _ in range(RESAMPLES)])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(x.sum() / w.sum()), float(low), float(high))


def paired_difference(
    base: Sequence[float], tuned: Sequence[float], weights: Sequence[float] | None = None
) -> Estimate:
    """Mean of tuned - base on the same examples, bootstrapped over the examples: tighter than two intervals."""
    return mean([after - before for before, after in zip(base, tuned, strict=True)], weights)


def _resampled(x: np.ndarray, w: np.ndarray, chance: np.random.Generator) -> float:
    drawn = chance.integers(0, len(x), len(x))
    return float(x[drawn].sum() / w[drawn].sum())


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(CLOSING)
