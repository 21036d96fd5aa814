"""What a tuned model must reach to be promoted, in YAML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from llm_assets.schema import Settings

Opponent = Literal["promoted", "base", "nothing"]


class GateSettings(Settings):
    """What a tuned model must reach to be promoted. A metric is that of the held-out examples, or `suite.metric`."""

    metric: str = Field(default="accuracy", description="What decides. `loss` is better where it is lower.")
    at_least: float | None = None
    at_most: float | None = None
    better_than: Opponent = Field(
        default="promoted",
        description="Whom it must beat: the promoted version (the base model while nothing else is promoted), always "
        "the base model, or nothing.",
    )
    by: float = Field(default=0.0, ge=0, description="By how much at least; 0 asks only that it is better.")
    not_worse: dict[str, float] = Field(
        default_factory=dict,
        description="Metrics by which it may be no worse than that opponent, and the tolerance of each.",
    )
    sure: bool = Field(
        default=False,
        description="The whole 95 % interval of a paired difference must pass, not only its middle: few examples "
        "then promote nothing by luck.",
    )

    @model_validator(mode="after")
    def _possible(self) -> GateSettings:
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least is {self.at_least:g}, above at_most, {self.at_most:g}: nothing could pass")
        if self.better_than == "nothing" and self.by:
            raise ValueError("by says how much better than an opponent; better_than: nothing names none")
        if negative := [name for name, tolerance in self.not_worse.items() if tolerance < 0]:
            raise ValueError(f"not_worse.{negative[0]} is negative; it is by how much the metric may get worse")
        return self

    @property
    def named(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Where each metric stands in the gate, and its name."""
        yield ("metric",), self.metric
        for name in self.not_worse:
            yield ("not_worse", name), name
