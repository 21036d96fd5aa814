"""Put the figures of an evaluation to a gate: a pure decision, with its reasons in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_assets.models.settings.evaluation import is_lower_better

if TYPE_CHECKING:
    from llm_assets.models.estimates import Estimate
    from llm_assets.models.settings import GateSettings


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and why (not)."""

    promote: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """What was measured of a tuned model.

    Attributes:
        estimates: of the tuned model by metric; `base_` and `promoted_` of the others; `_gain` over the base model
            and `_gain_over_promoted`, paired, positive where the tuned model is better.
        version: of the tuned model.
        compared_with: the promoted version that was measured beside it.
        promoted: the version that is promoted now.
        incomparable: a promoted version that could not be measured beside it: its weights are gone, or broken.
    """

    estimates: Mapping[str, Estimate]
    version: str
    compared_with: str | None = None
    promoted: str | None = None
    incomparable: str | None = None

    @property
    def plain(self) -> list[str]:
        """The metrics by name, without those of the other models and the differences."""
        return [name for name in self.estimates if f"{name}_gain" in self.estimates]

    @property
    def rival(self) -> str | None:
        """The version that it would replace."""
        return None if self.promoted == self.version else self.promoted

    @property
    def awaits_comparison(self) -> bool:
        """Whether a version is promoted that was not measured beside it, and may be."""
        return self.rival not in (None, self.compared_with, self.incomparable)


@dataclass(frozen=True)
class _Test:
    passed: bool
    said: str


def decide(gate: GateSettings, figures: Figures) -> Decision:
    """Put figures to a gate."""
    if missing := [name for _, name in gate.named if name not in figures.estimates]:
        known = ", ".join(sorted(figures.estimates))
        return Decision(
            False, (f"{missing[0]} was not measured (without prompts there are no answers); measured: {known}",)
        )
    if gate.better_than == "promoted" and figures.awaits_comparison:
        return Decision(
            False,
            (f"version {figures.rival} is promoted now, and was not measured beside it: materialise the evaluation",),
        )
    tests = [*_bounds(gate, figures), *_comparisons(gate, figures)]
    failed = tuple(test.said for test in tests if not test.passed)
    return Decision(not failed, failed or tuple(test.said for test in tests if test.passed))


def _bounds(gate: GateSettings, figures: Figures) -> Iterator[_Test]:
    value = figures.estimates[gate.metric].value
    if gate.at_least is not None:
        yield _Test(value >= gate.at_least, f"{gate.metric} is {value:.3f}, at least {gate.at_least:g} is asked")
    if gate.at_most is not None:
        yield _Test(value <= gate.at_most, f"{gate.metric} is {value:.3f}, at most {gate.at_most:g} is asked")


def _comparisons(gate: GateSettings, figures: Figures) -> Iterator[_Test]:
    if gate.better_than != "nothing":
        gain = _gain(gate, figures, gate.metric)
        low = gain.low if gate.sure else gain.value
        asked = f"at least {gate.by:g} {_direction(gate.metric)}" if gate.by else _direction(gate.metric)
        yield _Test(low >= gate.by and low > 0, f"{_told(gate, figures, gate.metric)}; {asked} is asked")
    for name, tolerance in gate.not_worse.items():
        gain = _gain(gate, figures, name)
        low = gain.low if gate.sure else gain.value
        yield _Test(low >= -tolerance, f"{_told(gate, figures, name)}; {_tolerated(tolerance)} is permitted")


def _gain(gate: GateSettings, figures: Figures, name: str) -> Estimate:
    return figures.estimates[f"{name}_gain_over_promoted" if _over_promoted(gate, figures, name) else f"{name}_gain"]


def _over_promoted(gate: GateSettings, figures: Figures, name: str) -> bool:
    """Where it cannot be compared with the promoted version, the base model decides: else that stays for ever."""
    return _wants_promoted(gate, figures) and f"{name}_gain_over_promoted" in figures.estimates


def _wants_promoted(gate: GateSettings, figures: Figures) -> bool:
    return gate.better_than == "promoted" and figures.rival is not None


def _told(gate: GateSettings, figures: Figures, name: str) -> str:
    """The metric of both, and, where the whole interval must pass, how sure the difference is."""
    over_promoted = _over_promoted(gate, figures, name)
    who = f"that of version {figures.rival}" if over_promoted else "the base model's"
    if _wants_promoted(gate, figures) and not over_promoted:
        who = f"version {figures.rival} cannot be compared with, so {who}"
    other = figures.estimates[f"{'promoted' if over_promoted else 'base'}_{name}"].value
    said = f"{name} is {figures.estimates[name].value:.3f}, {who} {other:.3f}"
    gain = _gain(gate, figures, name)
    return f"{said} (better by {gain.low:.3f} to {gain.high:.3f}, 95 %)" if gate.sure else said


def _tolerated(tolerance: float) -> str:
    return f"at most {tolerance:g} worse" if tolerance else "nothing worse"


def _direction(name: str) -> str:
    return "lower" if is_lower_better(name) else "higher"
