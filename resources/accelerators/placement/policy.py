"""How a device is chosen among those that will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from resources.accelerators.devices import Device
from resources.accelerators.requests import Request

if TYPE_CHECKING:
    from resources.accelerators.configuration import PolicySettings
    from resources.accelerators.deciding.state import State


@dataclass(frozen=True, slots=True)
class Candidate:
    """Devices that would meet a request.

    Attributes:
        devices: one, or a gang.
        spare: bytes on them that nobody could use then; of a shared device, those that stay free.
        left: free devices that would stay in their link group.
        order: numbers of the devices in the order of the inventory.
    """

    devices: tuple[Device, ...]
    spare: int
    left: int
    order: tuple[int, ...]


class Policy(Protocol):
    """Chooses among candidates that all fulfil the hard constraints."""

    @property
    def name(self) -> str:
        """As in accelerators.yml."""
        ...

    def choose(self, candidates: Sequence[Candidate], request: Request, state: State) -> Candidate:
        """The best candidate; there is at least one."""
        ...


class DeviceFigures(Protocol):
    """What the catalogue says of a model; None: not known."""

    @property
    def bf16_flops(self) -> float | None: ...
    @property
    def watts(self) -> float | None: ...
    @property
    def usd(self) -> float | None: ...


class BestFit:
    """The least room left over, then the link group with the fewest free devices, then the first of the inventory."""

    name = "best_fit"

    def choose(self, candidates: Sequence[Candidate], request: Request, state: State) -> Candidate:
        """The candidate that leaves least over."""
        return min(candidates, key=lambda candidate: (candidate.spare, candidate.left, candidate.order))


def policy_of(settings: PolicySettings, catalogue: Mapping[str, DeviceFigures]) -> Policy:
    """The policy that accelerators.yml names."""
    return BestFit()
