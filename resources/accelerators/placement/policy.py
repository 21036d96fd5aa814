"""How a device is chosen among those that will do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from resources.accelerators.devices import Device
from resources.accelerators.requests import Request

if TYPE_CHECKING:
    from resources.accelerators.configuration import PolicySettings
    from resources.accelerators.deciding.state import State
    from resources.accelerators.placement.topsis import DeviceFigures


@dataclass(frozen=True, slots=True)
class Candidate:
    """Devices that would meet a request.

    Attributes:
        devices: one, or a gang.
        spare: bytes on them beyond what is asked for; of a shared device, those that would stay free.
        left: free devices that would stay in their link group.
        order: host, index and id of each device: the order of the inventory.
    """

    devices: tuple[Device, ...]
    spare: int
    left: int
    order: tuple[tuple[str, int, str], ...]


class Policy(Protocol):
    """Chooses among candidates that all fulfil the hard constraints."""

    @property
    def name(self) -> str:
        """As in accelerators.yml."""
        ...

    def choose(self, candidates: Sequence[Candidate], request: Request, state: State) -> Candidate:
        """The best candidate; there is at least one."""
        ...


class FirstFit:
    """The first of the inventory; a gang in the link group with the fewest free devices."""

    name = "first_fit"

    def choose(self, candidates: Sequence[Candidate], request: Request, state: State) -> Candidate:
        """The first candidate."""
        return min(candidates, key=lambda found: (found.left if len(found.devices) > 1 else 0, found.order))


class BestFit:
    """The least room left over, then the link group with the fewest free devices, then the first of the inventory."""

    name = "best_fit"

    def choose(self, candidates: Sequence[Candidate], request: Request, state: State) -> Candidate:
        """The candidate that leaves least over."""
        return min(candidates, key=fit)


def fit(found: Candidate) -> tuple[int, int, tuple[tuple[str, int, str], ...]]:
    """The smaller, the tighter."""
    return (found.spare, found.left, found.order)


def policy_of(settings: PolicySettings, catalogue: Callable[[], Mapping[str, DeviceFigures]]) -> Policy:
    """The policy that accelerators.yml names; `catalogue` gives figures by model name, if they are needed."""
    if settings.name == "topsis":
        from resources.accelerators.placement.topsis import Topsis

        return Topsis(catalogue(), {str(name): weight for name, weight in settings.weights.items()})
    return FirstFit() if settings.name == "first_fit" else BestFit()
