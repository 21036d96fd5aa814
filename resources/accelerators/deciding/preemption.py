"""Taking devices back from preemptible leases, only where that is proven to let a higher priority start."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from resources.accelerators.deciding.decision import Preemption
from resources.accelerators.deciding.state import State
from resources.accelerators.leases import Lease
from resources.accelerators.placement.candidates import candidates
from resources.accelerators.placement.gangs import levels
from resources.accelerators.placement.need import MILLIONTHS, Need, mismatch
from resources.accelerators.placement.policy import Policy
from resources.accelerators.placement.room import group_name
from resources.accelerators.placement.slots import Slot
from resources.accelerators.placement.trial import trial
from resources.accelerators.requests import Waiting

MOST_PROOFS = 8  # sets that are tried, the cheapest first


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Leases to take back, and the devices to keep for the requester; both may be empty."""

    preemptions: tuple[Preemption, ...] = ()
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Bundle:
    """Leases that come back together, and the devices that they free."""

    leases: tuple[Lease, ...]
    slots: tuple[Slot, ...]


Cost = tuple[int, float, int]  # leases, seconds that they have run in sum, bytes


def take_back(state: State, waiting: Waiting, need: Need, now: float, policy: Policy) -> TakenBack:
    """The cheapest set of leases without which the request fits: fewest, then youngest, then least memory."""
    leaving = list(state.leaving.values())
    if leaving and (devices := _proven(state, waiting, need, leaving, policy)):
        return TakenBack((), devices)  # enough is on its way out already
    if not state.rules.preemption:
        return TakenBack()
    lower = [leases for priority, leases in state.preemptible.items() if priority < waiting.request.priority]
    victims = {lease.id: lease for leases in lower for lease in leases.values() if _may_go(state, lease, now)}
    if not victims:
        return TakenBack()
    for leases in _cheapest_sets(state, need, victims, now):
        if devices := _proven(state, waiting, need, [*leases, *leaving], policy):
            return TakenBack(tuple(Preemption(lease.id, waiting.id) for lease in leases), devices)
    return TakenBack()


def _may_go(state: State, lease: Lease, now: float) -> bool:
    return lease.state == "held" and lease.preempt_at is None and now - lease.granted >= state.rules.minimum_seconds


def _proven(state: State, waiting: Waiting, need: Need, leases: Iterable[Lease], policy: Policy) -> tuple[str, ...]:
    """The devices that the request would get without these leases; none if it would not fit."""
    with trial(state.room) as changes:
        for lease in leases:
            changes.vacate(state.holdings[lease.id])
        found = candidates(state.room, need)
        if not found:
            return ()
        return tuple(device.id for device in policy.choose(found, waiting.request, state).devices)


def _cheapest_sets(state: State, need: Need, victims: dict[str, Lease], now: float) -> list[tuple[Lease, ...]]:
    sets: list[tuple[Lease, ...]] = []
    if need.request.share:
        sets = [found for slot in _slots(state, need, victims) if (found := _for_share(state, need, slot, victims))]
    else:
        for group in _groups(state, need, victims):
            if found := _for_whole(state, need, group, victims, now):
                sets.append(found)
    return sorted(sets, key=lambda leases: (_cost(leases, now), [lease.id for lease in leases]))[:MOST_PROOFS]


def _cost(leases: Iterable[Lease], now: float) -> Cost:
    leases = list(leases)
    memory = sum(share.memory for lease in leases for share in lease.shares)
    return len(leases), sum(now - lease.granted for lease in leases), memory


def _slots(state: State, need: Need, victims: dict[str, Lease]) -> list[Slot]:
    """Usable devices that a victim lies on."""
    names = {share.device for lease in victims.values() for share in lease.shares}
    near = {name for device_id in names for name in state.room.family(device_id)}
    return [slot for name in sorted(near) if (slot := state.room.slots.get(name)) and _usable(slot, need)]


def _usable(slot: Slot, need: Need) -> bool:
    device = slot.device
    return device is not None and device.state == "ok" and not slot.hidden and mismatch(device, need) is None


def _for_share(state: State, need: Need, slot: Slot, victims: dict[str, Lease]) -> tuple[Lease, ...]:
    """The largest first until there is room: so they are the fewest."""
    missing = need.each(1) - state.room.free(slot)
    compute = slot.compute + need.compute - MILLIONTHS if need.compute else 0
    chosen: list[Lease] = []
    here = [name for name in slot.parts if name in victims]
    if slot.whole and not here:
        return ()
    for name in sorted(here, key=lambda name: (-slot.parts[name].memory, -victims[name].granted, name)):
        if missing <= 0 and compute <= 0:
            break
        chosen.append(victims[name])
        missing -= slot.parts[name].memory
        compute -= slot.parts[name].compute
    return tuple(chosen)


def _groups(state: State, need: Need, victims: dict[str, Lease]) -> list[list[Slot]]:
    """Usable devices that are free or that a victim lies on, by link group; one by one if one is enough."""
    touched = _slots(state, need, victims)
    if need.count == 1 and not need.links:
        return [[slot] for slot in touched]
    found: list[list[Slot]] = []
    for level in levels(need):
        names = {group_name(slot.device, level) for slot in touched if slot.device is not None} - {None}
        members: dict[object, list[Slot]] = {name: [] for name in sorted(names, key=str)}
        for slot in state.room.slots.values():
            if (
                slot.device is not None
                and (name := group_name(slot.device, level)) in members
                and _usable(slot, need)
            ):
                members[name].append(slot)
        found += members.values()
    return found


def _for_whole(
    state: State, need: Need, group: list[Slot], victims: dict[str, Lease], now: float
) -> tuple[Lease, ...]:
    """The cheapest leases that free as many devices as are missing: exact, by the number of devices freed."""
    free = sum(1 for slot in group if slot.place is not None and slot.place[0] == "empty")
    sizes = sorted((slot.device.memory - slot.device.foreign for slot in group if slot.device), reverse=True)
    count = need.count or next((n for n, size in enumerate(sizes, 1) if size >= need.each(n)), 0)
    return _cover(_bundles(state, group, victims), count - free, now) if count > free else ()


def _bundles(state: State, group: list[Slot], victims: dict[str, Lease]) -> list[_Bundle]:
    bundles: dict[frozenset[str], list[Slot]] = {}
    for slot in group:
        relatives = state.room.relatives(slot.device) if slot.device is not None else []
        names = frozenset(name for near in (slot, *relatives) for name in near.parts)
        if names and names <= victims.keys():
            bundles.setdefault(names, []).append(slot)
    return [
        _Bundle(tuple(victims[name] for name in sorted(names)), tuple(slots))
        for names, slots in sorted(bundles.items(), key=lambda item: sorted(item[0]))
    ]


def _cover(bundles: list[_Bundle], missing: int, now: float) -> tuple[Lease, ...]:
    """A knapsack: for each number of devices freed so far, the cheapest leases that free as many."""
    best: dict[int, tuple[Cost, tuple[Lease, ...]]] = {0: ((0, 0.0, 0), ())}
    for bundle in bundles:
        count, seconds, memory = _cost(bundle.leases, now)
        for freed, (cost, leases) in sorted(best.items(), reverse=True):
            more = min(missing, freed + len(bundle.slots))
            new = (cost[0] + count, cost[1] + seconds, cost[2] + memory)
            if more > freed and (more not in best or new < best[more][0]):
                best[more] = (new, (*leases, *bundle.leases))
    return best[missing][1] if missing in best else ()
