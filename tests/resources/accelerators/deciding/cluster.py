"""A simulated cluster: rows in a state, time that passes, and a ledger's way of applying what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from resources.accelerators.deciding.decide import decide
from resources.accelerators.deciding.decision import Decision
from resources.accelerators.deciding.offers import lapsed, offered_since
from resources.accelerators.deciding.rules import Rules
from resources.accelerators.deciding.state import State
from resources.accelerators.devices import Device, Host
from resources.accelerators.leases import Lease
from resources.accelerators.placement.policy import BestFit, Policy
from resources.accelerators.requests import Request, Stage, Waiting
from resources.accelerators.units import GB

HOST = "h0"


def gpu(index: int, *, host: str = HOST, memory: float = 80, **fields: object) -> Device:
    """A device of so many GB in the NVLink group of its host."""
    values: Mapping[str, object] = {"model": "a100-sxm-80", "nvlink": host, "kind": "gpu"} | fields
    return Device(f"{host}/gpu{index}", host, memory=round(memory * GB), index=index, **values)  # type: ignore[arg-type]


def server(count: int = 8, *, host: str = HOST, **fields: object) -> list[Device]:
    """A host's devices, linked by NVLink."""
    return [gpu(index, host=host, **fields) for index in range(count)]  # type: ignore[arg-type]


def asks(gigabytes: float, **fields: object) -> Request:
    """A request of the launcher on the first host."""
    values: Mapping[str, object] = {"pool": "p", "launcher": HOST} | fields
    return Request(memory=round(gigabytes * GB), **values)  # type: ignore[arg-type]


class Cluster:
    """Rows, a clock, and decisions applied to the rows."""

    def __init__(self, devices: Iterable[Device], rules: Rules | None = None, policy: Policy | None = None) -> None:
        self.state = State(rules or Rules())
        self.policy = policy or BestFit()
        self.now = 1000.0
        self.last = Decision()
        for device in devices:
            self.state.put_device(device)
        for name in {device.host for device in self.state.devices.values()} | {HOST}:
            self.state.put_host(Host(name, cpus=64, memory=512 * GB, boot_id="b"))

    def wait(self, name: str, request: Request, stage: Stage = "claiming", **fields: object) -> str:
        """Somebody starts to wait; returns the id."""
        values: Mapping[str, object] = {"submitted": self.now} | fields
        waiting = Waiting(name, "step", request, stage=stage, **values)  # type: ignore[arg-type]
        self.state.put_waiting(waiting)
        return waiting.id

    def decide(self) -> Decision:
        """Decide, and apply it as the ledger does."""
        self.last = decision = decide(self.state, self.now, self.policy)
        for grant in decision.grants:
            waiting = self.state.waiting[grant.waiting_id]
            self.state.drop_waiting(waiting.id)
            self.state.put_lease(
                Lease(
                    waiting.run_id,
                    waiting.run_id,
                    waiting.step_key,
                    waiting.request,
                    grant.shares,
                    self.now,
                    waited=self.now - waiting.submitted,
                    cpus=grant.cpus,
                    host_memory=grant.host_memory,
                )
            )
        for preemption in decision.preemptions:
            lease = self.state.leases[preemption.lease_id]
            self.state.put_lease(replace(lease, preempt_at=self.now + self.state.rules.notice_seconds))
        offered = set(decision.offered)
        for waiting in list(self.state.waiting.values()):
            self._note(waiting, decision, waiting.id in offered)
        return decision

    def _note(self, waiting: Waiting, decision: Decision, offered: bool) -> None:
        since = waiting.offered if lapsed(waiting, self.now, self.state.rules) else None
        if offered:
            since = offered_since(waiting, self.now, self.state.rules)
        reserved = tuple(decision.reservations.get(waiting.id, ()))
        if (since, reserved) != (waiting.offered, waiting.reserved):
            self.state.put_waiting(replace(waiting, offered=since, reserved=reserved))

    def run(self, name: str, request: Request, **fields: object) -> Lease:
        """Wait and be granted at once."""
        self.wait(name, request, **fields)  # type: ignore[arg-type]
        self.decide()
        return self.state.leases[name]

    def end(self, name: str) -> None:
        """A lease is given back."""
        self.state.drop_lease(name)

    def held(self, name: str) -> list[str]:
        """The devices that a run holds; empty while it waits."""
        lease = self.state.leases.get(name)
        return [share.device for share in lease.shares] if lease else []


def overcommitted(state: State) -> list[str]:
    """What is promised twice: devices above their memory or compute, or held alone and not alone."""
    problems: list[str] = []
    for device in state.devices.values():
        shares = [(lease, s) for lease in state.leases.values() for s in lease.shares if s.device == device.id]
        if sum(share.memory for _, share in shares) > device.memory:
            problems.append(f"{device.id}: more memory than it has")
        if sum(lease.request.compute or 0 for lease, _ in shares) > 1.000001:
            problems.append(f"{device.id}: more compute than it has")
        if len(shares) > 1 and not all(lease.request.share for lease, _ in shares):
            problems.append(f"{device.id}: held alone, and not alone")
    return problems
