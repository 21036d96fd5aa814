"""Why a request waits, what admits it, and whether it could ever be met."""

from __future__ import annotations

from dataclasses import dataclass

from resources.accelerators.deciding.state import State
from resources.accelerators.devices import Device
from resources.accelerators.placement.policy import Policy
from resources.accelerators.requests import Request


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a request waits.

    Attributes:
        sentence: for people.
        position: 1 is the next one.
        ahead: ids of those before it.
        devices: what is kept free for it.
        leases: ids of the leases that it waits for.
        until: seconds since the epoch when they will probably end; None: unknown.
    """

    sentence: str
    position: int
    ahead: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    leases: tuple[str, ...] = ()
    until: float | None = None


def why(state: State, waiting_id: str, now: float, policy: Policy) -> Reason:
    """Why a request waits at `now`. Raises KeyError if it does not wait."""
    state.waiting[waiting_id]
    return Reason("waits its turn", 1)


def admits(state: State, request: Request) -> list[tuple[Device, str | None]]:
    """Each device with None if it would admit the request now, else with the constraint that excludes it."""
    return [(device, None) for device in state.devices.values()]


def check_possible(state: State, request: Request) -> None:
    """Refuse what no state of the registered devices could ever satisfy.

    Raises:
        ImpossibleRequest: with the constraint that excludes each device.
        RequestError: the request contradicts itself.
    """
