"""Why a request waits, what admits it, and whether it could ever be met."""

from __future__ import annotations

from dataclasses import dataclass, replace

from resources.accelerators.deciding.decide import decide
from resources.accelerators.deciding.decision import Decision
from resources.accelerators.deciding.offers import lapsed
from resources.accelerators.deciding.shortage import exclusion, shortage, whole_shortage
from resources.accelerators.deciding.state import State
from resources.accelerators.devices import Device
from resources.accelerators.errors import ImpossibleRequest
from resources.accelerators.placement.candidates import candidates
from resources.accelerators.placement.need import check_sense
from resources.accelerators.placement.policy import Policy
from resources.accelerators.placement.room import Room
from resources.accelerators.requests import Request, Waiting
from resources.accelerators.units import shown_gb


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a request waits.

    Attributes:
        sentence: for people.
        position: 1 is the next one.
        ahead: ids of those before it.
        devices: what is kept free for it.
        leases: ids of the leases that it waits for.
        until: seconds since the epoch when they will probably have ended; None: unknown.
    """

    sentence: str
    position: int
    ahead: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    leases: tuple[str, ...] = ()
    until: float | None = None


def why(state: State, waiting_id: str, now: float, policy: Policy, *, decision: Decision | None = None) -> Reason:
    """Why a request waits at `now`; `decision` saves deciding again where it is at hand.

    Raises:
        KeyError: it does not wait.
    """
    waiting = state.waiting[waiting_id]
    decision = decision or decide(state, now, policy)
    at = decision.order.index(waiting_id)
    ahead = decision.order[:at]
    if waiting_id in decision.offered or any(grant.waiting_id == waiting_id for grant in decision.grants):
        return Reason(_may_start(waiting), at + 1, ahead)
    if waiting_id in decision.reservations:
        return _kept(state, waiting, decision, at, ahead, now)
    asked = _asked(waiting.request)
    try:
        check_possible(state, waiting.request)
    except ImpossibleRequest as error:
        return Reason(f"asks for {asked}, which no device that is left can meet: {error}", at + 1, ahead)
    if lapsed(waiting, now, state.rules):
        return Reason(
            f"asks for {asked}; it was not started when it could be, so others go first for a while", at + 1, ahead
        )
    if not any(excluded is None for _, excluded in admits(state, waiting.request)):
        sentence = f"asks for {asked}; nothing has that much free, and {_number(at)} before it"
        return Reason(sentence, at + 1, ahead)
    return Reason(f"asks for {asked}; what is free is kept for {_number(at)} before it", at + 1, ahead)


def _may_start(waiting: Waiting) -> str:
    if waiting.stage == "claiming":
        return "fits now and gets its devices with the next decision"
    return "may start now" if waiting.stage == "queued" else "may have its devices as soon as its process asks"


def _kept(state: State, waiting: Waiting, decision: Decision, at: int, ahead: tuple[str, ...], now: float) -> Reason:
    devices = decision.reservations[waiting.id]
    near = {name for device_id in devices for name in state.room.family(device_id)}
    leases = sorted({name for device_id in near for name in state.room.slots[device_id].parts})
    ends = [end for name in leases for part in state.holdings[name].parts[:1] for end in (part[1].end,)]
    until = None if not ends or max(ends)[0] else max(now, max(ends)[1])
    names = ", ".join(devices[:3]) + (f" and {len(devices) - 3} more" if len(devices) > 3 else "")
    held = f"held by {_leases(state, leases)}" if leases else "free, but its host lacks cores or main memory"
    when = f", free in about {_minutes(until - now)}" if until is not None else ""
    taken = sum(1 for preemption in decision.preemptions if preemption.waiting_id == waiting.id)
    back = f"; {taken} of a lower priority give theirs back" if taken else ""
    sentence = f"asks for {_asked(waiting.request)}; {names} kept for it, {held}{when}{back}"
    return Reason(sentence, at + 1, ahead, devices, tuple(leases), until)


def _leases(state: State, leases: list[str]) -> str:
    names = [state.leases[name].asset or f"run {state.leases[name].run_id[:8]}" for name in leases[:2]]
    return ", ".join(names) + (f" and {len(leases) - 2} more" if len(leases) > 2 else "")


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _number(count: int) -> str:
    return {0: "nobody is", 1: "1 request is"}.get(count, f"{count} requests are")


def _asked(request: Request) -> str:
    number = f" on {request.devices} devices" if (request.devices or 1) > 1 else ""
    linked = f" linked by {request.linked}" if request.linked else ""
    return f"{shown_gb(request.memory)}{number}{linked}"


def admits(state: State, request: Request) -> list[tuple[Device, str | None]]:
    """Each device with None if it would admit the request now, else with the constraint that excludes it.

    Of a gang, devices of a group that holds it now are admitted.
    """
    need = state.room.need(request)
    members = _members_now(state.room, request) if need.count != 1 or need.links else None
    found: list[tuple[Device, str | None]] = []
    for _, device in sorted(state.devices.items(), key=lambda item: (item[1].host, item[1].index, item[0])):
        reason = exclusion(device, need) or shortage(state.room, device, need)
        if reason is None and members is not None and device.id not in members:
            reason = whole_shortage(state.room, device, need)
        found.append((device, reason))
    return found


def _members_now(room: Room, request: Request) -> set[str]:
    need = room.need(request)
    groups = [found.devices for found in candidates(room, need)]
    level = next(iter(need.links), None)
    chosen = {device.id for devices in groups for device in devices}
    names = {device.group(level) for devices in groups for device in devices} if level else set()
    same = {s.id for s in room.slots.values() if level and s.device and s.device.group(level) in names - {None}}
    return chosen | same


def check_possible(state: State, request: Request) -> None:
    """Refuse what no state of the registered devices could ever satisfy.

    All count as empty, the lost ones not at all. A launcher whose host is not registered may find devices yet.

    Raises:
        ImpossibleRequest: with the constraint that excludes each device.
        RequestError: the request contradicts itself.
    """
    check_sense(request)
    if request.launcher not in state.hosts:
        return
    if state.possible(request):
        return
    room = state.empty_room()
    need = room.need(request)
    excluded: dict[str, str] = {}
    for device in state.devices.values():
        empty = replace(device, foreign=0, state="ok") if device.state != "lost" else device
        reason = exclusion(empty, need) or shortage(room, empty, need) or whole_shortage(room, empty, need)
        excluded[device.id] = reason
    raise ImpossibleRequest(_impossible(request, excluded), excluded)


def _impossible(request: Request, excluded: dict[str, str]) -> str:
    start = f"pool '{request.pool}' asks for {_asked(request)}"
    if not excluded:
        return f"{start}; no device is registered. Register this host's devices, or declare some in accelerators.yml"
    reasons: dict[str, list[str]] = {}
    for name, reason in sorted(excluded.items()):
        reasons.setdefault(reason, []).append(name)
    most = sorted(reasons.items(), key=lambda item: -len(item[1]))[:3]
    listed = "; ".join(f"{_names(names)} {reason}" for reason, names in most)
    return f"{start}, which no device here can ever meet: {listed}. Ask for less, or add devices."


def _names(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more:"
