"""What a tuned model must reach to be promoted, in YAML."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from llm_assets.schema import Settings

MetricName = Literal["accuracy", "exact_match", "loss"]


class GateSettings(Settings):
    """What a tuned model must reach to be promoted. `loss` is better where it is lower."""

    metric: MetricName = "accuracy"
    at_least: float | None = None
    at_most: float | None = None
    better_than_base_by: float = Field(default=0.0, ge=0)
