"""Guards against: a queued run the ledger never hears of, or one that is gone and holds devices back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resources.accelerators.ledger import queue
from resources.accelerators.ledger.database import Database
from tests.resources.accelerators.ledger.claimant import asks
from tests.resources.accelerators.ledger.scenes import claimants, ledger_of

RUNS = ("a", "b", "c")


def test_the_queue_is_mirrored_with_its_stages_and_times(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    queued = [replace(asks(run_id, stage="queued"), submitted=float(i)) for i, run_id in enumerate(RUNS)]
    ledger.sync_queue(queued, [], alive_runs=RUNS)
    assert {one.stage for one in ledger.view().waiting.values()} == {"queued"}
    later = [replace(one, submitted=99.0) for one in queued]
    ledger.sync_queue(later[1:], later[:1], alive_runs=RUNS)
    found = ledger.view().waiting
    assert [(found[f"{run}/step"].stage, found[f"{run}/step"].submitted) for run in RUNS] == [
        ("starting", 0.0),
        ("queued", 1.0),
        ("queued", 2.0),
    ]
    ledger.sync_queue([], [], alive_runs=())
    assert not ledger.view().waiting


def test_reading_an_unchanged_queue_changes_nothing(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    queued = [asks(run_id, stage="queued") for run_id in RUNS]
    ledger.sync_queue(queued, [], alive_runs=RUNS)
    before = ledger.changes()
    ledger.sync_queue(queued, [], alive_runs=RUNS)
    assert ledger.changes() == before


def test_only_what_would_be_granted_now_is_startable_in_order(state_url: str) -> None:
    ledger = ledger_of(state_url, 2)
    queued = [asks(run_id, stage="queued", priority=i) for i, run_id in enumerate(RUNS)]
    ledger.sync_queue(queued, [], alive_runs=RUNS)
    assert [one.run_id for one in ledger.startable()] == ["c", "b"]
    assert ledger.startable("another pool") == []
    assert ledger.claim(asks("c", priority=2)) is not None
    assert [one.run_id for one in ledger.startable("pool")] == ["b"]


def test_a_live_claimant_is_not_dropped_though_its_run_is_unknown(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    ledger.claim(asks("a"))
    with claimants(state_url) as [other]:
        other.tell("claim", "b", 60)
        ledger.sync_queue([], [], alive_runs=())
        assert "b/step" in ledger.view().waiting
        other.kill()
        ledger.sync_queue([], [], alive_runs=())
        assert "b/step" not in ledger.view().waiting


def test_a_queue_does_not_touch_another_instances_runs(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    ledger.sync_queue([asks("a", stage="queued")], [], alive_runs=["a"], source="one")
    ledger.sync_queue([asks("b", stage="queued")], [], alive_runs=["b"], source="two")
    assert set(ledger.view().waiting) == {"a/step", "b/step"}


def test_a_queue_that_nobody_reads_any_more_holds_nothing_back(
    state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ledger_of(state_url, 1)
    starting = asks("a", stage="starting")
    ledger.sync_queue([], [starting], alive_runs=["a"])
    real = Database.clock
    monkeypatch.setattr(Database, "clock", lambda self: real(self) + queue.STALE_SECONDS + 1)
    assert ledger.reap().waiting == ("a/step",)
    ledger.sync_queue([], [starting], alive_runs=["a"])
    assert ledger.view().waiting["a/step"].submitted == starting.submitted
