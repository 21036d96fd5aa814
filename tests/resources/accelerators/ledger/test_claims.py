"""Guards against: two steps on one device, a step with two leases, a lost request, a hopeless one that waits."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from resources.accelerators.errors import ImpossibleRequest, LeaseLost, RequestError
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.liveness import this_process
from resources.accelerators.units import GB
from tests.resources.accelerators.ledger.claimant import asks
from tests.resources.accelerators.ledger.scenes import claimants, gpus, host, ledger_of


def test_a_device_is_granted_once(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    first, second = ledger.claim(asks("a")), ledger.claim(asks("b"))
    assert first is not None
    assert second is None
    assert [(share.device, share.memory) for share in first.shares] == [(gpus(1)[0].id, 80 * GB)]
    assert list(ledger.view().waiting) == ["b/step"]


def test_asking_twice_gives_the_same_lease(state_url: str) -> None:
    ledger = ledger_of(state_url, 2)
    lease = ledger.claim(asks("a"))
    assert ledger.claim(asks("a")) == lease == ledger.lease_of("a", "step")
    assert Ledger(state_url, ledger.accelerators).claim(asks("a")) == lease
    assert len(ledger.view().leases) == 1


def test_a_released_device_goes_to_the_one_that_waits_in_the_same_transaction(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    ledger.claim(asks("a"))
    ledger.claim(asks("b"))
    before = ledger.changes()
    ledger.release("a")
    assert ledger.changes() == before + 1
    lease = ledger.lease_of("b", "step")
    assert lease is not None
    assert lease.waited >= 0
    assert ledger.claim(asks("b")) == lease


def test_a_waiter_in_another_process_gets_it_within_half_a_second(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    ledger.claim(asks("a"))
    with claimants(state_url) as [other]:
        other.order("wait", "b", 60)
        while "b/step" not in ledger.view().waiting:
            time.sleep(0.02)
        released = time.monotonic()
        ledger.release("a")
        assert other.answer() - released < 0.5


def test_an_impossible_request_is_refused_at_once_and_does_not_wait(state_url: str) -> None:
    ledger = ledger_of(state_url, 2)
    with pytest.raises(ImpossibleRequest) as refused:
        ledger.claim(asks("a", 100))
    assert set(refused.value.excluded) == {device.id for device in gpus(2)}
    assert not ledger.view().waiting


def test_a_request_that_becomes_impossible_is_refused_when_it_asks_again(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    ledger.claim(asks("a"))
    assert ledger.claim(asks("b", 70)) is None
    ledger.register(host(), gpus(1, 65 * GB))
    with pytest.raises(ImpossibleRequest):
        ledger.claim(asks("b", 70))
    assert not ledger.view().waiting
    assert ledger.lease_of("a", "step") is not None


def test_a_priority_above_the_tenants_limit_is_refused_with_the_limit(state_url: str) -> None:
    ledger = ledger_of(state_url, 1, tenants={"guest": {"max_priority": 2}})
    with pytest.raises(RequestError, match=r"guest.*2"):
        ledger.claim(asks("a", tenant="guest", priority=3))


def test_a_request_for_nothing_is_refused_and_stops_no_other(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    with pytest.raises(RequestError, match="more than nothing"):
        ledger.claim(asks("a", memory_gb=0))
    assert ledger.claim(asks("b")) is not None


def test_a_withdrawn_request_waits_no_more(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    ledger.claim(asks("a"))
    ledger.claim(asks("b"))
    ledger.withdraw("b")
    ledger.release("a")
    assert not ledger.view().leases
    assert not ledger.view().waiting


def test_a_step_that_is_tried_again_keeps_its_place(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    ledger.claim(asks("a"))
    first = replace(asks("b"), submitted=1000.0)
    ledger.claim(first)
    ledger.withdraw("b")
    ledger.claim(replace(first, submitted=2000.0))
    assert ledger.view().waiting["b/step"].submitted == 1000.0


def test_a_lease_that_was_given_back_is_lost_to_its_holder(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    lease = ledger.claim(asks("a"))
    assert lease is not None
    assert ledger.renew(lease.id) == lease
    ledger.release("a")
    with pytest.raises(LeaseLost):
        ledger.renew(lease.id)
    with pytest.raises(LeaseLost):
        ledger.attach(lease.id, this_process())


def test_detaching_the_claimant_does_not_free_the_lease(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    lease = ledger.claim(asks("a"))
    assert lease is not None
    ledger.detach(lease.id, this_process())
    ledger.reap()
    assert ledger.lease(lease.id) == lease


def test_threads_of_a_process_share_a_ledger(state_url: str) -> None:
    ledger = ledger_of(state_url, 4)
    threads = [threading.Thread(target=ledger.claim, args=(asks(f"run-{i}"),)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(ledger.view().leases), len(ledger.view().waiting)) == (4, 8)


def test_the_history_tells_who_held_what_and_how_it_ended(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    begun = time.time()
    lease = ledger.claim(asks("a"))
    assert lease is not None
    ledger.claim(asks("b"))
    ledger.report_use(lease.id, peak_memory=7 * GB)
    ledger.report_use(lease.id, peak_memory=5 * GB)
    ledger.release("a")
    first, second = ledger.history(begun - 1, time.time() + 1)
    assert (first.lease.run_id, first.outcome, first.peak_memory) == ("a", "released", 7 * GB)
    assert first.ended is not None
    assert first.ended >= first.lease.granted
    assert (second.lease.run_id, second.ended, second.outcome) == ("b", None, None)
    assert ledger.history(begun - 100, begun - 50) == []
