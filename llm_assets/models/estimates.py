"""How sure is a figure: a level or a paired difference with its 95 % confidence interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Z95 = 1.959964  # the normal distribution's 97.5 % quantile
RESAMPLES = 2000
DRAWN_AT_ONCE = 4_000_000  # counts in memory: 32 MB
FEW = 30  # examples; of fewer, bootstrap intervals are known to be too narrow


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Statistic:
    """A figure of a set of examples that follows from sums over them, so that it can be resampled in one product.

    Attributes:
        columns: (examples, k): what is summed.
        combine: (…, k) sums to (…) figures.
    """

    columns: np.ndarray
    combine: Callable[[np.ndarray], np.ndarray]


def share(outcomes: Sequence[bool]) -> Estimate:
    """Share of successes with the Wilson score interval (E. B. Wilson, 1927): honest also near 0 and 1.

    Args:
        outcomes: at least one.
    """
    n, p = len(outcomes), sum(outcomes) / len(outcomes)
    centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n)) / (1 + Z95**2 / n)
    return Estimate(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)))


def mean(values: Sequence[float], weights: Sequence[float] | None = None) -> Statistic:
    """(Weighted) mean.

    Args:
        values: at least one, one an example.
        weights: for example tokens, where each value is a mean over tokens.
    """
    import numpy as np

    w = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)
    return Statistic(np.stack([np.asarray(values, dtype=float) * w, w], axis=1), _ratio)


def perplexity(losses: Sequence[float], tokens: Sequence[float]) -> Statistic:
    """e to the mean loss a token; `losses` are means over an example's tokens, in nats."""
    import numpy as np

    return Statistic(mean(losses, tokens).columns, lambda sums: np.exp(_ratio(sums)))


def macro_f1(said: Sequence[str], expected: Sequence[str]) -> Statistic:
    """Mean over the expected classes of 2 · right / (said + expected); an answer that is no class counts as wrong."""
    import numpy as np

    classes = sorted(set(expected))
    of_said, of_expected = (np.array([[one == name for name in classes] for one in row]) for row in (said, expected))
    columns = np.concatenate([of_said & of_expected, of_said, of_expected], axis=1).astype(float)
    return Statistic(columns, _mean_f1)


def bootstrapped(levels: Mapping[str, Statistic], differences: Mapping[str, tuple[str, str]]) -> dict[str, Estimate]:
    """Percentile bootstrap over examples (Efron & Tibshirani, 1993), the same draws for all.

    So differences are paired: what makes an example hard for both models cancels out.

    Args:
        levels: by name, all of the same examples.
        differences: name to (minuend, subtrahend), names of levels.
    """
    import numpy as np

    if not levels:
        return {}
    whole = np.concatenate([level.columns for level in levels.values()], axis=1)
    sums = np.concatenate([whole.sum(0, keepdims=True), _resampled(whole)])
    parts = np.split(sums, np.cumsum([level.columns.shape[1] for level in levels.values()])[:-1], axis=1)
    figures = {name: level.combine(part) for (name, level), part in zip(levels.items(), parts, strict=True)}
    figures |= {name: figures[first] - figures[second] for name, (first, second) in differences.items()}
    return {name: _estimate(values) for name, values in figures.items()}


def _resampled(columns: np.ndarray) -> np.ndarray:
    """(RESAMPLES, k): the sums over as many examples, drawn with replacement."""
    import numpy as np

    chance, n = np.random.default_rng(0), len(columns)
    step = max(1, DRAWN_AT_ONCE // n)
    sizes = [min(step, RESAMPLES - start) for start in range(0, RESAMPLES, step)]
    return np.concatenate([chance.multinomial(n, np.full(n, 1 / n), size) @ columns for size in sizes])


def _estimate(values: np.ndarray) -> Estimate:
    """The first is the figure itself, the others are its resamples."""
    import numpy as np

    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return Estimate(float(values[0]), float(low), float(high))


def _ratio(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def _mean_f1(sums: np.ndarray) -> np.ndarray:
    """Of a class that was not drawn at all there is no F1; the mean is over the others."""
    import numpy as np

    right, said, expected = np.split(sums, 3, axis=-1)
    drawn = expected > 0
    scores = np.where(drawn, 2 * right / np.maximum(said + expected, 1), 0.0)
    return scores.sum(-1) / np.maximum(drawn.sum(-1), 1)
