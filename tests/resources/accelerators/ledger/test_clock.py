"""Guards against: a clock that jumps and gives a held device away, or keeps a free one."""

from __future__ import annotations

import pytest

from resources.accelerators.ledger.database import Database
from tests.resources.accelerators.ledger.claimant import asks
from tests.resources.accelerators.ledger.scenes import claimants, ledger_of, until

DAY = 86_400.0
REAL = Database.clock


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_jump_frees_nothing_and_keeps_nothing(state_url: str, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    ledger = ledger_of(state_url, 1)
    lease = ledger.claim(asks("a"))
    assert lease is not None
    assert ledger.claim(asks("b")) is None
    monkeypatch.setattr(Database, "clock", lambda self: REAL(self) + jump)
    assert ledger.reap().leases == ()
    assert ledger.claim(asks("c")) is None
    assert ledger.renew(lease.id) == lease
    ledger.release("a")
    assert len(ledger.view().leases) == 1
    assert all(one.waited >= 0 for one in ledger.view().leases.values())


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_after_a_jump_the_dead_are_still_found(state_url: str, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    ledger = ledger_of(state_url, 1)
    with claimants(state_url) as [other]:
        assert other.tell("claim", "a", 60)
        monkeypatch.setattr(Database, "clock", lambda self: REAL(self) + jump)
        other.kill()
        until(lambda: ledger.claim(asks("b")), 5)


def test_a_notice_does_not_grow_when_the_clock_is_set_back(state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = ledger_of(state_url, 1, preemption={"notice_seconds": 60, "minimum_minutes": 0})
    lease = ledger.claim(asks("low", preemptible=True))
    assert lease is not None
    ledger.claim(asks("high", priority=9))
    monkeypatch.setattr(Database, "clock", lambda self: REAL(self) - DAY)
    ledger.reap()
    noticed = ledger.lease(lease.id)
    assert noticed is not None
    assert noticed.preempt_at is not None
    assert noticed.preempt_at - ledger._store.clock() <= 60
