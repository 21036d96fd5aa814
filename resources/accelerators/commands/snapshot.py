"""What the ledger holds at one moment, as plain values: bytes, seconds, and times since the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resources.accelerators.deciding.decision import Decision
    from resources.accelerators.deciding.state import State
    from resources.accelerators.leases import Lease
    from resources.accelerators.ledger.ledger import Ledger
    from resources.accelerators.placement.policy import Policy
    from resources.accelerators.requests import Process, Waiting


@dataclass(frozen=True)
class Moment:
    """The ledger's state, the time it is looked at, and the policy that places."""

    state: State
    now: float
    policy: Policy


def look(ledger: Ledger) -> Moment:
    """The present moment."""
    import time

    return Moment(ledger.view(), time.time(), ledger.policy)


def snapshot(moment: Moment) -> dict[str, list[dict[str, Any]]]:
    """Devices, leases, and waiting requests in order, each with why it waits."""
    from resources.accelerators.deciding.decide import decide

    state = moment.state
    decision = decide(state, moment.now, moment.policy)
    leases = sorted(state.leases.values(), key=lambda lease: (lease.granted, lease.id))
    return {
        "devices": _devices(state),
        "leases": [_lease(lease, moment.now) for lease in leases],
        "waiting": [_waiting(state.waiting[waiting_id], moment, decision) for waiting_id in decision.order],
    }


def _devices(state: State) -> list[dict[str, Any]]:
    from resources.accelerators.gantt import natural

    holders: dict[str, list[str]] = {}
    used: dict[str, int] = {}
    for lease in state.leases.values():
        for share in lease.shares:
            holders.setdefault(share.device, []).append(lease.id)
            used[share.device] = used.get(share.device, 0) + share.memory
    ordered = sorted(
        state.devices.values(), key=lambda one: (natural(one.host), one.kind, one.index, natural(one.id))
    )
    return [
        {
            "device": device.id,
            "host": device.host,
            "kind": device.kind,
            "model": device.model,
            "memory_bytes": device.memory,
            "used_bytes": used.get(device.id, 0),
            "foreign_bytes": device.foreign,
            "state": device.state,
            "reason": device.reason,
            "nvlink": device.nvlink,
            "pretended": device.pretended,
            "tenants": sorted(device.tenants) if device.tenants is not None else None,
            "leases": holders.get(device.id, []),
        }
        for device in ordered
    ]


def _lease(lease: Lease, now: float) -> dict[str, Any]:
    return {
        "lease": lease.id,
        "pool": lease.request.pool,
        "tenant": lease.request.tenant,
        "asset": lease.asset or lease.step_key,
        "run_id": lease.run_id,
        "step_key": lease.step_key,
        "priority": lease.request.priority,
        "devices": [{"device": share.device, "memory_bytes": share.memory} for share in lease.shares],
        "shared": lease.shared,
        "granted": lease.granted,
        "held_seconds": max(0.0, now - lease.granted),
        "waited_seconds": lease.waited,
        "state": lease.state,
        "preempt_at": lease.preempt_at,
        "holders": [_process(process) for process in lease.holders],
    }


def _process(process: Process) -> dict[str, Any]:
    from resources.accelerators.ledger.liveness import alive

    return {"host": process.host, "pid": process.pid, "alive": alive(process)}


def _waiting(waiting: Waiting, moment: Moment, decision: Decision) -> dict[str, Any]:
    from resources.accelerators.deciding.explain import why

    request, reason = waiting.request, why(moment.state, waiting.id, moment.now, moment.policy, decision=decision)
    return {
        "position": reason.position,
        "pool": request.pool,
        "tenant": request.tenant,
        "asset": waiting.asset or waiting.step_key,
        "run_id": waiting.run_id,
        "step_key": waiting.step_key,
        "stage": waiting.stage,
        "priority": request.priority,
        "memory_bytes": request.memory,
        "devices": request.devices,
        "linked": request.linked,
        "waited_seconds": max(0.0, moment.now - waiting.submitted),
        "why": reason.sentence,
        "waits_for_leases": list(reason.leases),
        "kept_free": list(reason.devices),
        "until": reason.until,
    }
