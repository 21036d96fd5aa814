"""How a tuned model is examined, in YAML."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from llm_assets.schema import Name, Settings

HELD_OUT = "held_out"
SuiteMetric = Literal["accuracy", "exact_match", "f1", "macro_f1", "rouge_l", "chrf", "loss", "perplexity"]
WITHOUT_ANSWERS = ("loss", "perplexity")  # of the expected answer alone; all others need what the model writes
LOWER_IS_BETTER = ("loss", "perplexity")
DEFAULT_METRICS: tuple[SuiteMetric, ...] = ("accuracy", "exact_match")


class SuiteSettings(Settings):
    """Examples that every model is asked. `held_out`, the held-out part of the training set, is always one."""

    name: Name
    path: str | None = Field(
        default=None, description="File of examples: .jsonl, .json, .csv or .tsv. Of held_out there is none."
    )
    base: Path | None = Field(default=None, description="Folder that a relative path starts at instead.")
    columns: dict[Literal["prompt", "completion", "messages", "text"], str] = Field(
        default_factory=dict, description="Where the file calls a column by another name, e.g. prompt: question."
    )
    metrics: list[SuiteMetric] | None = Field(
        default=None, min_length=1, description="By default those of the evaluation."
    )
    kind: Literal["task", "regression"] = Field(
        default="task",
        description="What the model is tuned for, or what it must not lose by it: no metric of a regression suite "
        "may get worse for a promotion, by more than gate.not_worse names for it.",
    )
    max_examples: int | None = Field(default=None, ge=1, description="By default those of the evaluation.")

    @model_validator(mode="after")
    def _file(self) -> Self:
        if self.name == HELD_OUT and (self.path or self.base or self.columns):
            raise ValueError(f"'{HELD_OUT}' is part of the training set: it has no path, base or columns")
        if self.name != HELD_OUT and self.path is None:
            raise ValueError(f"suite '{self.name}' has no path to a file of examples")
        return self


class EvaluationSettings(Settings):
    """The examination: base, tuned and promoted model on the held-out examples and on further suites."""

    metrics: list[SuiteMetric] = Field(
        default=list(DEFAULT_METRICS),
        description="Of all suites that name none. What needs answers is left out where examples have no prompts; "
        "loss is always measured.",
    )
    suites: list[SuiteSettings] = Field(default_factory=list, description="held_out need not be listed.")
    max_examples: int | None = Field(default=None, ge=1, description="Of a suite; by default all.")
    max_new_tokens: int | None = Field(
        default=None, ge=1, description="By default what a suite's longest right answer needs."
    )
    batch: int = Field(default=16, ge=1, description="Examples at once in memory.")
    pool: str = Field(default="evaluate", description="Pool of accelerators.yml: what the examination asks for.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [suite.name for suite in self.suites]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two suites are called '{name}'")
        return self

    @property
    def decisive(self) -> dict[str, object]:
        """What decides the result: not how it is carried out."""
        return self.model_dump(mode="json", exclude={"batch", "pool"})

    @property
    def all_suites(self) -> tuple[SuiteSettings, ...]:
        """held_out first, then the others in their order."""
        listed = {suite.name: suite for suite in self.suites}
        held_out = listed.pop(HELD_OUT, SuiteSettings(name=HELD_OUT))
        return (held_out, *listed.values())

    def metrics_of(self, suite: SuiteSettings) -> tuple[SuiteMetric, ...]:
        """What is measured of a suite, loss last."""
        named = suite.metrics or self.metrics
        return (*dict.fromkeys(name for name in named if name != "loss"), "loss")

    def guarded_names(self, measured: Collection[str]) -> tuple[str, ...]:
        """Figures that may not get worse: the metrics of regression suites, `loss` where it is named or all there is.

        Args:
            measured: figures that there are: without prompts some are not.
        """
        found: list[str] = []
        for suite in (one for one in self.all_suites if one.kind == "regression"):
            named = [metric_name(suite.name, name) for name in suite.metrics or self.metrics]
            found += [name for name in named if name in measured] or [metric_name(suite.name, "loss")]
        return tuple(found)

    def measured_names(self) -> tuple[str, ...]:
        """Every level that is measured of a model, as a gate or a test calls it: `accuracy`, `general.loss`."""
        return tuple(metric_name(suite.name, name) for suite in self.all_suites for name in self.metrics_of(suite))

    def all_names(self) -> tuple[str, ...]:
        """Every figure there can be: levels, those of the base and the promoted model, and differences."""
        levels = self.measured_names()
        others = [f"{side}_{name}" for side in ("base", "promoted") for name in levels]
        gains = [f"{name}_{gain}" for gain in ("gain", "gain_over_promoted") for name in levels]
        return (*levels, *others, *gains)


def metric_name(suite: str, metric: str) -> str:
    """How a figure of a suite is called: those of `held_out` by the metric alone."""
    return metric if suite == HELD_OUT else f"{suite}.{metric}"


def is_lower_better(name: str) -> bool:
    """Whether a figure, as `metric_name` calls it, is better where it is lower."""
    return name.rpartition(".")[2] in LOWER_IS_BETTER
