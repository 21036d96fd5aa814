"""Who gets what now: a pure function of the state and the time."""

from __future__ import annotations

from resources.accelerators.deciding.decision import Decision, Grant
from resources.accelerators.deciding.state import State
from resources.accelerators.leases import Share
from resources.accelerators.placement.policy import Policy


def decide(state: State, now: float, policy: Policy) -> Decision:
    """Grants, offers, reservations and pre-emptions that follow from the state; the state stays as it is."""
    order = sorted(
        state.waiting.values(), key=lambda waiting: (-waiting.request.priority, waiting.submitted, waiting.id)
    )
    taken = {share.device for lease in state.leases.values() for share in lease.shares}
    grants: list[Grant] = []
    offered: list[str] = []
    for waiting in order:
        for device in state.devices.values():
            if device.id not in taken and device.state == "ok" and device.memory >= waiting.request.memory:
                taken.add(device.id)
                if waiting.stage == "claiming":
                    grants.append(Grant(waiting.id, (Share(device.id, device.memory),), 0.0, 0))
                else:
                    offered.append(waiting.id)
                break
    return Decision(tuple(grants), tuple(offered), order=tuple(waiting.id for waiting in order))
