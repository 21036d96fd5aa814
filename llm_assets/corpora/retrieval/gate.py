"""The gate: metrics that a candidate must reach before it is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

METRICS = {  # name in YAML and metadata to the measure of ir_measures
    "ndcg@10": "nDCG@10",
    "recall@5": "R@5",
    "recall@10": "R@10",
    "mrr@10": "RR@10",
}


class GateError(ValueError):
    """The gate itself is wrong: an unknown metric, or a value that no metric can have."""


@dataclass(frozen=True)
class Gate:
    """Least values of metrics.

    Args:
        minimum: metric to its least value, 0..1.

    Raises:
        GateError: names the permitted metrics.
    """

    minimum: Mapping[str, float]

    def __post_init__(self) -> None:
        for name, value in self.minimum.items():
            if name not in METRICS:
                raise GateError(f"no metric '{name}'; permitted: {', '.join(METRICS)}")
            if not 0 <= value <= 1:
                raise GateError(f"{name}: {value} cannot be a least value; metrics lie between 0 and 1")

    def failures(self, metrics: Mapping[str, float]) -> list[str]:
        """What falls short, in plain words; empty if the candidate passes."""
        return [
            f"{name} is {metrics[name]:.3f}, below the {least:g} that the gate asks for"
            for name, least in self.minimum.items()
            if metrics[name] < least
        ]
