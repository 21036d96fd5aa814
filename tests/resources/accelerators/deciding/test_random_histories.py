"""Guards against what no single case shows: over-commitment, gangs in parts, and memory of past states in a decision.

Random devices, hosts, requests, releases, lost devices and jumps of the clock; after each step the rules must hold.
"""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from resources.accelerators.deciding.decide import decide
from resources.accelerators.deciding.decision import Decision
from resources.accelerators.deciding.explain import check_possible
from resources.accelerators.deciding.rules import Rules
from resources.accelerators.deciding.state import State
from resources.accelerators.devices import Device, Host
from resources.accelerators.errors import AcceleratorError
from resources.accelerators.placement.need import mismatch
from resources.accelerators.placement.policy import BestFit, FirstFit
from resources.accelerators.requests import Request
from resources.accelerators.units import GB
from tests.resources.accelerators.deciding.cluster import Cluster, overcommitted

HOSTS = ("h0", "h1", "h2")
TENANTS = ("a", "b", "c")
RULES = Rules(shares={"a": 2.0}, minimum_seconds=20, notice_seconds=10, raise_priority_seconds=50, offers=4)

devices = st.builds(
    lambda host, index, kind, memory, **fields: Device(
        f"{host}/{kind}{index}", host, kind, memory=memory * GB, index=index, **fields
    ),
    host=st.sampled_from(HOSTS),
    index=st.integers(0, 5),
    kind=st.sampled_from(("gpu", "gpu", "gpu", "tpu", "cpu")),
    memory=st.sampled_from((16, 40, 80, 80)),
    model=st.sampled_from(("x", "y")),
    nvlink=st.sampled_from((None, "n0", "n1")),
    rdma=st.sampled_from((None, "r")),
    shareable=st.sampled_from((True, True, False)),
    foreign=st.sampled_from((0, 0, 5 * GB)),
    state=st.sampled_from(("ok", "ok", "ok", "drained", "lost")),
    tenants=st.sampled_from((None, None, None, frozenset({"a"}))),
    parent=st.sampled_from((None, None, None, "h0/gpu0", "h1/gpu1")),
    pretended=st.booleans(),
)
wholes = st.builds(
    Request,
    pool=st.just("p"),
    memory=st.sampled_from((1, 16, 60, 100, 180, 10**6)).map(lambda gb: gb * GB),
    devices=st.sampled_from((None, None, 1, 2, 3, 4)),
    linked=st.sampled_from((None, None, "nvlink", "rdma")),
    kind=st.sampled_from((None, None, "gpu", "cpu")),
    models=st.sampled_from((frozenset(), frozenset(), frozenset({"x"}))),
    cpus=st.sampled_from((None, None, 6.0, 12.5)),
    host_memory=st.sampled_from((None, None, 50 * GB)),
    priority=st.integers(0, 2),
    deadline=st.sampled_from((None, 100.0, 900.0)),
    tenant=st.sampled_from(TENANTS),
    preemptible=st.booleans(),
    expected=st.sampled_from((None, None, 5.0, 100.0)),
    launcher=st.sampled_from(HOSTS),
)
shares = wholes.map(lambda request: replace(request, devices=None, linked=None, share=True))
limited = st.builds(lambda r, c: replace(r, compute=c), shares, st.sampled_from((0.1, 0.3, 0.5)))
requests = st.one_of(wholes, shares, limited)


def rebuilt(state: State) -> State:
    """A state of the same rows, put in another order."""
    other = State(state.rules)
    order = random.Random(1)
    rows = [
        *((other.put_device, device) for device in state.devices.values()),
        *((other.put_host, host) for host in state.hosts.values()),
        *((other.put_waiting, waiting) for waiting in state.waiting.values()),
        *((other.put_lease, lease) for lease in state.leases.values()),
    ]
    order.shuffle(rows)
    for put, row in rows:
        put(row)  # type: ignore[operator]  # each row goes with its own function
    return other


class Histories(RuleBasedStateMachine):
    @initialize(first_fit=st.booleans(), known=st.lists(devices, min_size=3, max_size=16, unique_by=lambda d: d.id))
    def start(self, first_fit: bool, known: list[Device]) -> None:
        known = [device for device in known if device.parent != device.id]
        self.cluster = Cluster(known, RULES, FirstFit() if first_fit else BestFit())
        self.count = 0
        self.cluster.now = 0.0
        for name in HOSTS:
            self.cluster.state.put_host(Host(name, cpus=16, memory=128 * GB, boot_id="b"))
        self.excused: set[str] = set()

    @rule(device=devices)
    def device_registers_or_changes(self, device: Device) -> None:
        if device.parent != device.id:
            self.excused.add(device.id)  # it may be smaller, or of another kind, than what is leased of it
            self.cluster.state.put_device(device)

    @precondition(lambda self: self.cluster.state.devices)
    @rule(data=st.data(), state=st.sampled_from(("ok", "drained", "lost", "gone")))
    def device_changes_state(self, data: st.DataObject, state: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.cluster.state.devices)))
        if state == "gone":
            self.cluster.state.drop_device(name)
        else:
            self.cluster.state.put_device(replace(self.cluster.state.devices[name], state=state))  # type: ignore[arg-type]

    @rule(
        asked=st.lists(requests, min_size=1, max_size=4),
        stage=st.sampled_from(("queued", "starting", "claiming")),
        back=st.integers(0, 200),
    )
    def somebody_waits(self, asked: list[Request], stage: str, back: int) -> None:
        for request in asked:
            self.count += 1
            self.cluster.wait(f"r{self.count}", request, stage, submitted=self.cluster.now - back)  # type: ignore[arg-type]

    @precondition(lambda self: self.cluster.state.waiting)
    @rule(data=st.data(), gone=st.booleans())
    def a_waiting_one_asks_or_leaves(self, data: st.DataObject, gone: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.cluster.state.waiting)))
        if gone:
            self.cluster.state.drop_waiting(name)
        else:
            self.cluster.state.put_waiting(replace(self.cluster.state.waiting[name], stage="claiming"))

    @precondition(lambda self: self.cluster.state.leases)
    @rule(data=st.data(), ending=st.booleans())
    def a_lease_ends(self, data: st.DataObject, ending: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.cluster.state.leases)))
        if ending:
            self.cluster.state.put_lease(replace(self.cluster.state.leases[name], state="ending"))
        else:
            self.cluster.end(name)

    @rule(seconds=st.sampled_from((0.5, 1, 30, 61, 700, -1, -500)))
    def time_passes(self, seconds: float) -> None:
        self.cluster.now += seconds

    @rule()
    def decided(self) -> None:
        before = rebuilt(self.cluster.state)
        decision = self.cluster.decide()
        assert decision == decide(before, self.cluster.now, self.cluster.policy)
        self._check_grants(before, decision)
        self._check_preemptions(before, decision)
        assert sorted(decision.order) == sorted(before.waiting)
        kept = [name for names in decision.reservations.values() for name in names]
        assert len(kept) == len(set(kept)), "a device is kept for two"

    def _check_grants(self, before: State, decision: Decision) -> None:
        for grant in decision.grants:
            waiting = before.waiting[grant.waiting_id]
            need = before.room.need(waiting.request)
            given = [before.devices[share.device] for share in grant.shares]
            self.excused -= {device.id for device in given if not before.room.slots[device.id].parts}
            assert waiting.stage == "claiming"
            assert all(device.state == "ok" and mismatch(device, need) is None for device in given)
            assert len({device.id for device in given}) == (waiting.request.devices or len(given))
            assert all(share.memory >= need.each(len(given)) for share in grant.shares)
            if waiting.request.linked == "nvlink":
                assert len({device.nvlink for device in given}) == 1
            assert not {device.parent for device in given} & {device.id for device in given}
            for device in given:
                kin = {other.id for other in before.devices.values() if other.parent == device.id} | {device.parent}
                assert not [s for lease in before.leases.values() for s in lease.shares if s.device in kin]

    def _check_preemptions(self, before: State, decision: Decision) -> None:
        for preemption in decision.preemptions:
            lease, waiting = before.leases[preemption.lease_id], before.waiting[preemption.waiting_id]
            assert lease.request.preemptible
            assert lease.request.priority < waiting.request.priority
            assert lease.preempt_at is None
        if decision.preemptions:
            after = rebuilt(before)
            for lease in list(after.leases.values()):
                if lease.id in {p.lease_id for p in decision.preemptions} or lease.id in before.leaving:
                    after.drop_lease(lease.id)
            then = decide(after, self.cluster.now, self.cluster.policy)
            wanted = decision.preemptions[0].waiting_id
            assert wanted in then.offered or wanted in {grant.waiting_id for grant in then.grants}

    @invariant()
    def never_over_committed(self) -> None:
        if hasattr(self, "cluster"):
            problems = overcommitted(self.cluster.state)
            assert [text for text in problems if text.split(":")[0] not in self.excused] == []

    @invariant()
    def deciding_leaves_no_trace(self) -> None:
        if hasattr(self, "cluster"):
            state = self.cluster.state
            assert decide(state, self.cluster.now, self.cluster.policy) == decide(
                state, self.cluster.now, self.cluster.policy
            )

    def teardown(self) -> None:
        """Whatever could start alone in an empty cluster starts, if those before it end."""
        if not hasattr(self, "cluster"):
            return
        for device in list(self.cluster.state.devices.values()):
            self.cluster.state.put_device(
                replace(device, foreign=0, state="ok" if device.state == "drained" else device.state)
            )
        possible = {
            name for name, waiting in self.cluster.state.waiting.items() if self._is_possible(waiting.request)
        }
        for _ in range(3 * len(possible) + 3):
            self.cluster.now += 1
            for name in list(self.cluster.state.leases):
                self.cluster.end(name)
            for name in self.cluster.decide().offered:
                self.cluster.state.put_waiting(replace(self.cluster.state.waiting[name], stage="claiming"))
        assert possible.isdisjoint(self.cluster.state.waiting)

    def _is_possible(self, request: Request) -> bool:
        try:
            check_possible(self.cluster.state, request)
        except AcceleratorError:
            return False
        return True


# The same histories each time: what fails is the change at hand, not chance.
Histories.TestCase.settings = settings(
    derandomize=True,
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestHistories = Histories.TestCase
