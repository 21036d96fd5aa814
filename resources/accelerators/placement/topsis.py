"""The device closest to the ideal over response time, energy and cost.

TOPSIS (Hwang and Yoon, Multiple Attribute Decision Making, 1981) with the bounds of each criterion fixed by the
catalogue. The usual bounds, from the candidates at hand, let the removal of a bad candidate change the winner; here
the figure of a candidate depends on nothing but itself, so that cannot happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING, Protocol

from resources.accelerators.devices import Device
from resources.accelerators.placement.policy import Candidate, fit
from resources.accelerators.requests import Request

if TYPE_CHECKING:
    from resources.accelerators.deciding.state import State

CRITERIA = ("response_time", "energy", "cost")


class DeviceFigures(Protocol):
    """What the catalogue says of a model; None: not known."""

    @property
    def bf16_flops(self) -> float | None:
        """FLOP/s."""
        ...

    @property
    def watts(self) -> float | None:
        """The most that it takes."""
        ...

    @property
    def usd(self) -> float | None:
        """Price of one."""
        ...


@dataclass(frozen=True, slots=True)
class Closeness:
    """How close to the ideal, 0 to 1, and the criteria that were left out because a figure is not known."""

    value: float
    left_out: tuple[str, ...] = ()


class Topsis:
    """Closest to the ideal; equally close ones as in `best_fit`."""

    name = "topsis"

    def __init__(self, catalogue: Mapping[str, DeviceFigures], weights: Mapping[str, float]) -> None:
        self._catalogue = catalogue
        self._weights = {name: max(0.0, weights.get(name, 0.0)) for name in CRITERIA}
        known = [self._criteria((model,)) for model in catalogue]
        self._bounds = {name: _bounds(name, (row[name] for row in known)) for name in CRITERIA}
        self._known: dict[tuple[str, ...], Closeness] = {}

    def choose(self, candidates: Sequence[Candidate], request: Request, state: State) -> Candidate:
        """The closest candidate."""
        return min(candidates, key=lambda found: (-self.closeness(found.devices).value, fit(found)))

    def closeness(self, devices: Iterable[Device]) -> Closeness:
        """Of one device or a gang. Nothing known of a model: 0, so that any other goes first."""
        models = tuple(sorted(device.model for device in devices))
        found = self._known.get(models)
        if found is None:
            found = self._known[models] = self._closeness(models)
        return found

    def _closeness(self, models: tuple[str, ...]) -> Closeness:
        values = self._criteria(models)
        to_best = to_worst = 0.0
        for name in CRITERIA:
            value, bounds = values[name], self._bounds[name]
            if value is None or bounds is None:
                continue
            place = min(1.0, max(0.0, (value - bounds[0]) / (bounds[1] - bounds[0])))
            to_best = hypot(to_best, self._weights[name] * place)
            to_worst = hypot(to_worst, self._weights[name] * (1 - place))
        total = to_best + to_worst
        left_out = tuple(name for name in CRITERIA if values[name] is None and self._weights[name])
        return Closeness(to_worst / total if total else 0.0, left_out)

    def _criteria(self, models: tuple[str, ...]) -> dict[str, float | None]:
        """Seconds, joules and device-price seconds of one FLOP; the smaller the better."""
        flops = self._sum(models, "bf16_flops")
        if not flops:
            return dict.fromkeys(CRITERIA)
        watts, usd = self._sum(models, "watts"), self._sum(models, "usd")
        return {
            "response_time": 1 / flops,
            "energy": None if watts is None else watts / flops,
            "cost": None if usd is None else usd / flops,
        }

    def _sum(self, models: tuple[str, ...], figure: str) -> float | None:
        total = 0.0
        for model in models:
            value = getattr(self._catalogue.get(model), figure, None)
            if value is None:
                return None
            total += value
        return total


def _bounds(name: str, values: Iterable[float | None]) -> tuple[float, float] | None:
    """The best and the worst of the catalogue; a gang may be faster than any device, so the best time is none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    best = 0.0 if name == "response_time" else min(known)
    return (best, max(known)) if max(known) > best else None
