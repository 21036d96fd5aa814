"""Guards against: a ledger that over-commits under many claimants, and judges that would not notice."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks import ledger_latency, ledger_safety
from resources.accelerators.leases import Lease, Share
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.units import GB
from tests.resources.accelerators.ledger.claimant import asks


def test_many_claimants_and_random_kills_do_not_over_commit(state_url: str, tmp_path: Path) -> None:
    found = ledger_safety.measure(state_url, tmp_path, seconds=2, claimants=8)
    assert (found["over_committed"], found["lost"]) == (0, 0)
    assert found["leases"] > 8
    assert found["killed"] > 5


@pytest.mark.parametrize(("share", "memory"), [(True, 50 * GB), (False, 80 * GB)])
def test_the_triggers_record_shows_a_device_given_twice(state_url: str, share: bool, memory: int) -> None:
    ledger = ledger_safety.prepared(state_url)
    for run_id in ("a", "b"):
        _force(ledger, Lease(run_id, run_id, "step", asks(run_id, share=share).request, _all(ledger, memory), 0.0))
    assert ledger_safety._added_up(state_url)[0] == 1


def test_a_live_lease_cannot_be_deleted_unnoticed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = ledger_safety.prepared(url)
    assert ledger.claim(asks("a"))
    engine = sa.create_engine(url)
    with engine.begin() as connection, pytest.raises(sa.exc.DatabaseError, match="live lease"):
        connection.exec_driver_sql("DELETE FROM leases")
    engine.dispose()


def test_the_kernel_shows_a_device_given_twice(tmp_path: Path) -> None:
    lease = Lease("x", "a", "step", asks("a").request, (Share("host/gpu0", 1),), 0.0)
    first = ledger_safety._lock(tmp_path, lease, "host/gpu0")
    assert not list(tmp_path.glob("*.said"))
    second = ledger_safety._lock(tmp_path, replace(lease, id="y"), "host/gpu0")
    [said] = [json.loads(line) for file in tmp_path.glob("*.said") for line in file.read_text().splitlines()]
    assert said["what"] == "conflict"
    fcntl.flock(first, fcntl.LOCK_UN)
    os.close(first)
    os.close(second)


def test_latency_is_measured_on_a_small_ledger(state_url: str) -> None:
    found = ledger_latency.measure(state_url, devices=16, waiting=16, decisions=8, processes=1)
    assert 0 < found["median_ms"] <= found["p99_ms"]
    assert found["first_ms"] > 0


def test_the_wake_up_is_measured_in_real_processes(state_url: str) -> None:
    assert 0 < ledger_latency.wake_up(state_url, devices=4, waiting=2 * ledger_latency.WAKE_UPS) < 500


def _all(ledger: Ledger, memory: int) -> tuple[Share, ...]:
    return (Share(next(iter(ledger.view().devices)), memory),)


def _force(ledger: Ledger, lease: Lease) -> None:
    with ledger._store.writing(settled=False) as transaction:
        transaction.put_lease(lease)
