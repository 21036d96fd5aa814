"""Guards against: a device given away while a process of its holder lives, and one that never comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from resources.accelerators.ledger import reaping
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.liveness import alive, process_of, this_host
from tests.resources.accelerators.ledger.claimant import asks
from tests.resources.accelerators.ledger.scenes import Claimant, claimants, ledger_of, until


@pytest.fixture
def ledger(state_url: str) -> Ledger:
    """One device."""
    return ledger_of(state_url, 1)


@pytest.fixture
def other(state_url: str, ledger: Ledger) -> Iterator[Claimant]:
    """Another process."""
    with claimants(state_url) as [claimant]:
        yield claimant


def test_a_killed_holders_device_goes_to_the_next_within_seconds(ledger: Ledger, other: Claimant) -> None:
    assert other.tell("claim", "a", 60)
    assert ledger.claim(asks("b")) is None
    other.kill()
    killed = time.monotonic()
    until(lambda: ledger.claim(asks("b")))
    assert time.monotonic() - killed < 3
    [first, _] = ledger.history(0, time.time() + 1)
    assert first.outcome == "died"


def test_a_paused_holder_keeps_its_lease(ledger: Ledger, other: Claimant) -> None:
    lease_id = other.tell("claim", "a", 60)
    other.pause()
    assert ledger.reap().leases == ()
    assert ledger.claim(asks("b")) is None
    other.wake()
    assert other.tell("renew", lease_id) == "held"


def test_a_rank_that_outlives_its_parent_is_ended_before_the_device_is_free(ledger: Ledger, other: Claimant) -> None:
    lease_id = other.tell("claim", "a", 60)
    rank = process_of(other.tell("rank", lease_id))
    assert rank is not None
    assert os.getsid(rank.pid) == rank.pid
    other.kill()
    reaped = ledger.reap()
    assert reaped.leases == (lease_id,)
    assert reaped.killed == (rank.pid,)
    assert not alive(rank)


def test_a_process_of_a_lease_that_is_over_is_ended(ledger: Ledger, other: Claimant) -> None:
    """It was paused when its lease was given back, say, and starts its work only now."""
    lease_id = other.tell("claim", "a", 60)
    other.tell("release", "a")
    late = process_of(other.tell("rank", lease_id))
    assert late is not None
    assert ledger.reap().killed == (late.pid,)
    assert not alive(late)


def test_a_process_of_another_ledgers_lease_is_left_alone(ledger: Ledger, other: Claimant) -> None:
    stranger = process_of(other.tell("rank", "not-of-this-ledger"))
    assert stranger is not None
    try:
        assert ledger.reap().killed == ()
        assert alive(stranger)
    finally:
        os.kill(stranger.pid, signal.SIGKILL)


def test_a_lease_that_is_given_back_ends_only_with_its_last_holder(ledger: Ledger, other: Claimant) -> None:
    lease = ledger.claim(asks("a"))
    assert lease is not None
    other.tell("attach", lease.id)
    ledger.release("a")
    ending = ledger.lease(lease.id)
    assert ending is not None
    assert (ending.state, ending.holders) == ("ending", (other.process,))
    assert ledger.claim(asks("b")) is None
    other.kill()
    until(lambda: ledger.claim(asks("b")))


def test_a_lease_that_is_given_back_ends_only_with_its_tree(ledger: Ledger, other: Claimant) -> None:
    lease_id = other.tell("claim", "a", 60)
    rank = process_of(other.tell("rank", lease_id))
    assert rank is not None
    ledger.release("a")
    assert ledger.lease(lease_id) is not None
    assert ledger.reap().killed == (rank.pid,)
    assert ledger.lease(lease_id) is None


def test_the_attached_step_keeps_the_lease_of_a_dead_executor(ledger: Ledger, state_url: str) -> None:
    with claimants(state_url, 2) as [executor, step]:
        lease_id = executor.tell("claim", "a", 60)
        step.tell("attach", lease_id)
        executor.kill()
        assert ledger.reap().leases == ()
        step.kill()
        assert ledger.reap().leases == (lease_id,)


def test_a_step_claimed_anew_after_a_crash_gets_a_lease_without_the_old_processes(
    ledger: Ledger, state_url: str
) -> None:
    with claimants(state_url, 2) as [first, second]:
        lease_id = first.tell("claim", "a", 60)
        rank = process_of(first.tell("rank", lease_id))
        assert rank is not None
        first.kill()
        again = second.tell("claim", "a", 60)
        assert again not in (None, lease_id)
        assert not alive(rank)


def test_the_request_of_a_killed_waiter_is_dropped(ledger: Ledger, other: Claimant) -> None:
    ledger.claim(asks("a"))
    other.tell("claim", "b", 60)
    other.pause()
    assert ledger.reap().waiting == ()
    other.kill()
    assert ledger.reap().waiting == ("b/step",)


def test_a_dead_waiter_is_granted_nothing(ledger: Ledger, other: Claimant) -> None:
    ledger.claim(asks("a"))
    other.tell("claim", "b", 60)
    ledger.claim(asks("c"))
    other.kill()
    ledger.release("a")
    assert ledger.lease_of("b", "step") is None
    assert ledger.lease_of("c", "step") is not None


def test_a_pre_empted_lease_is_ended_after_its_notice(state_url: str) -> None:
    ledger = ledger_of(state_url, 1, preemption={"notice_seconds": 0.5, "minimum_minutes": 0})
    with claimants(state_url, 2) as [executor, step]:
        lease_id = executor.tell("claim", "low", 60, {"preemptible": True})
        step.tell("attach", lease_id)
        rank = process_of(step.tell("rank", lease_id))
        assert rank is not None
        assert ledger.claim(asks("high", priority=9)) is None
        noticed = ledger.lease(lease_id)
        assert noticed is not None
        assert noticed.preempt_at is not None
        assert alive(rank)
        until(lambda: not alive(rank) or ledger.reap().killed)
        assert step.tell("renew", lease_id) == "LeaseLost"
        assert ledger.claim(asks("high", priority=9)) is None, "its holder lives"
        step.kill()
        until(lambda: ledger.claim(asks("high", priority=9)))
    assert next(past.outcome for past in ledger.history(0, time.time() + 1)) == "preempted"


def test_a_holder_that_does_not_heed_the_end_of_its_lease_is_ended(
    state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaping, "PATIENCE_SECONDS", 0.2)
    ledger = ledger_of(state_url, 1, preemption={"notice_seconds": 0.1, "minimum_minutes": 0})
    with claimants(state_url, 2) as [executor, step]:
        lease_id = executor.tell("claim", "low", 60, {"preemptible": True})
        step.tell("attach", lease_id)
        step.pause()
        ledger.claim(asks("high", priority=9))
        until(lambda: ledger.claim(asks("high", priority=9)))
        step.child.join(5)
        assert step.child.exitcode == -signal.SIGKILL
        assert executor.child.is_alive()


def test_a_silent_host_loses_its_lease_only_before_the_eyes_of_another(
    state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaping, "SILENCE_SECONDS", 1.0)
    ledger = ledger_of(state_url, 1)
    with claimants(state_url) as [holder]:
        lease_id = holder.tell("claim", "a", 60)
        monkeypatch.setenv("LLM_ASSETS_HOST", f"not-{this_host()}")
        for _ in range(15):  # it renews: it keeps its lease, however long that takes
            assert ledger.reap().leases == ()
            holder.tell("renew", lease_id)
            time.sleep(0.1)
        begun = time.monotonic()
        until(lambda: lease_id in ledger.reap().leases)
        assert time.monotonic() - begun > 0.9
        assert holder.tell("renew", lease_id) == "LeaseLost"
    assert [past.outcome for past in ledger.history(0, time.time() + 1)] == ["expired"]
