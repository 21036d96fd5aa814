"""Devices that are granted again while a process of the old lease computes on them would fail both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from resources.accelerators.errors import LeaseLost
from resources.accelerators.held import HeldLease, MemoryExceeded, TakenBack, hold
from resources.accelerators.leases import Lease
from resources.accelerators.ledger.liveness import process_of, this_process
from tests.resources.accelerators.step.conftest import Place, stubborn, training, until

GREEDY = "import time; held = bytearray(600_000_000); time.sleep(600)"
# Holds a lease whose owner is another process, with a stubborn rank under it.
STEP = """
import os, sys
from resources.accelerators.configuration import load_accelerators
from resources.accelerators.held import hold
from resources.accelerators.ledger.ledger import open_ledger
from resources.accelerators.ledger.liveness import process_of
lease_id, owner, *command = sys.argv[1:]
ledger = open_ledger()
owners = [process_of(int(owner))]
with hold(ledger, load_accelerators(), ledger.lease(lease_id), owners=owners, release=False, tell=print) as held:
    held.start(command).wait()
"""


def work_under(
    place: Place, lease: Lease, work: Callable[[HeldLease], object], tell: Callable[[str], None] = print
) -> None:
    with hold(place.ledger, place.accelerators, lease, release=True, tell=tell) as held:
        work(held)


def alive(pid: int) -> bool:
    return process_of(pid) is not None


def rank_of(folder: Path) -> int:
    note = folder / "rank"
    return int(until(lambda: note.exists() and note.read_text()))


def test_a_process_sees_its_lease_and_keeps_it_until_its_whole_tree_is_gone(place: Place, tmp_path: Path) -> None:
    lease = place.granted("a")
    code = "import os; print(os.environ['LLM_ASSETS_LEASE'], end='')"

    def work(held: HeldLease) -> None:
        with held.start([sys.executable, "-c", code], stdout=subprocess.PIPE) as tree:
            assert tree.stdout
            assert tree.stdout.read().decode() == lease.id
        held.start(stubborn(tmp_path), grace_seconds=0.2)
        rank_of(tmp_path)
        place.ledger.detach(lease.id, this_process())
        place.ledger.release("a", "step")
        kept = place.ledger.lease(lease.id)
        assert kept, "it was free while a rank lived"
        assert kept.state == "ending"
        assert place.ledger.claim(place.waiting("b")) is None

    work_under(place, lease, work)
    assert not alive(rank_of(tmp_path))
    place.granted("b")


def test_a_lease_that_is_taken_back_leaves_a_checkpoint_and_says_so(place: Place, tmp_path: Path) -> None:
    told: list[str] = []

    def work(held: HeldLease) -> None:
        tree = held.start(training(tmp_path))
        until((tmp_path / "works").exists)
        assert place.ledger.claim(place.waiting("b", "urgent")) is None
        code = tree.wait(30)
        with pytest.raises(LeaseLost, match="being taken back"):
            held.start(training(tmp_path))
        raise RuntimeError(f"the training ended with {code}")

    with pytest.raises(TakenBack, match="a higher priority needs the devices"):
        work_under(place, place.granted("a"), work, told.append)
    assert (tmp_path / "checkpoint").read_text() == "step 7"
    assert place.granted("b", "urgent").run_id == "b"
    assert any("needs the devices" in message for message in told)


def test_work_that_does_not_end_in_time_is_killed_at_the_deadline(place: Place, tmp_path: Path) -> None:
    def work(held: HeldLease) -> None:
        tree = held.start(stubborn(tmp_path), grace_seconds=600)
        rank_of(tmp_path)
        assert place.ledger.claim(place.waiting("b", "urgent")) is None
        asked = time.monotonic()
        code = tree.wait(30)
        assert 1 < time.monotonic() - asked < 10
        raise RuntimeError(f"the training ended with {code}")

    with pytest.raises(TakenBack):
        work_under(place, place.granted("a"), work)
    place.granted("b", "urgent")
    assert not alive(rank_of(tmp_path))


def test_a_lease_that_is_given_back_behind_its_back_ends_the_work(place: Place, tmp_path: Path) -> None:
    def work(held: HeldLease) -> None:
        tree = held.start(stubborn(tmp_path))
        rank_of(tmp_path)
        place.ledger.release("a")  # as run monitoring does for a run that it believes to be over
        raise RuntimeError(f"the training ended with {tree.wait(30)}")

    with pytest.raises(TakenBack, match="given back while it still worked"):
        work_under(place, place.granted("a"), work)
    assert not alive(rank_of(tmp_path))
    place.granted("b")


def test_more_memory_than_granted_is_reported(place: Place) -> None:
    told: list[str] = []

    def work(held: HeldLease) -> None:
        tree = held.start([sys.executable, "-c", GREEDY])
        until(lambda: told)
        assert tree.poll() is None
        assert held.usage.peak > 200_000_000

    work_under(place, place.granted("a", "small"), work, told.append)
    assert "Raise memory_gb" in told[0]
    peak = place.ledger.history(0, time.time() + 1)[0].peak_memory
    assert peak
    assert peak > 200_000_000


def test_more_memory_than_granted_ends_the_work_where_that_is_wanted(place: Place) -> None:
    place.describe(enforce="kill")

    def work(held: HeldLease) -> None:
        raise RuntimeError(f"the training ended with {held.start([sys.executable, '-c', GREEDY]).wait(30)}")

    with pytest.raises(MemoryExceeded, match=r"was granted 0\.2 GB"):
        work_under(place, place.granted("a", "small"), work)


def test_the_death_of_the_runs_worker_ends_the_step_and_everything_below_it(place: Place, tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    lease = place.granted("a")
    step = subprocess.Popen([sys.executable, "-c", STEP, lease.id, str(worker.pid), *stubborn(tmp_path)])
    rank = rank_of(tmp_path)
    worker.kill()
    worker.wait()
    assert step.wait(20) != 0
    assert not alive(rank)
    place.ledger.release("a", "step")
    place.granted("b")


def test_ranks_that_outlive_their_step_and_its_supervisor_are_ended_before_the_device_is_granted_again(
    place: Place, tmp_path: Path
) -> None:
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    lease = place.ledger.claim(replace(place.waiting("a"), claimant=process_of(worker.pid)))
    assert lease
    step = subprocess.Popen([sys.executable, "-c", STEP, lease.id, str(worker.pid), *stubborn(tmp_path)])
    rank = rank_of(tmp_path)
    kept = until(lambda: (found := place.ledger.lease(lease.id)) and len(found.holders) == 3 and found)
    for holder in kept.holders:
        os.kill(holder.pid, signal.SIGKILL)
    for process in (step, worker):
        process.wait()
    assert alive(rank), "it died by itself: this test would prove nothing"
    place.granted("b", seconds=15)
    assert not alive(rank)


def test_a_failure_of_the_work_itself_stays_what_it_is(place: Place) -> None:
    with pytest.raises(ZeroDivisionError):
        work_under(place, place.granted("a"), lambda _held: 1 / 0)
    place.granted("b")


def test_the_metadata_says_which_devices_for_how_long_and_at_what_price(place: Place) -> None:
    said: dict[str, str | float] = {}

    def work(held: HeldLease) -> None:
        with held.start([sys.executable, "-c", "import time; time.sleep(0.3)"]) as tree:
            tree.wait()
        said.update(held.metadata())

    work_under(place, place.granted("a"), work)
    assert said["pool"] == "whole"
    assert str(said["devices"]).endswith(": 80 GB"), "a device that is not shared is held whole"
    assert float(said["device-seconds"]) >= 0.3
    assert float(said["energy in kWh, at rated power"]) > 0
    assert float(said["cost in USD"]) > 0


def test_leases_of_one_cpu_share_its_cores_equally_unless_they_asked_for_some(place: Place) -> None:
    cores = {"first": {"memory_gb": 0.1, "share": True, "kind": "cpu"}}
    place.describe(pools=cores | {"asked": {**cores["first"], "cpus": 1}})
    ledger = place.ledger
    all_of_them = int(next(iter(ledger.view().hosts.values())).cpus)

    def threads(run: str, pool: str = "first") -> int:
        lease = place.granted(run, pool)
        return int(HeldLease(ledger, place.accelerators, lease).env["OMP_NUM_THREADS"])

    assert threads("a") == all_of_them
    assert threads("b") == max(1, all_of_them // 2)
    assert threads("c", "asked") == 1


def test_a_lease_that_ended_before_its_step_began_is_asked_for_again(place: Place) -> None:
    lease = place.granted("a")
    place.ledger.release("a")
    with pytest.raises(TakenBack):
        work_under(place, lease, lambda _held: None)


def test_a_ledger_that_breaks_is_reported_and_the_work_goes_on(place: Place, tmp_path: Path) -> None:
    told: list[str] = []
    finished: list[int] = []

    def work(held: HeldLease) -> None:
        tree = held.start(training(tmp_path, seconds=4))
        until((tmp_path / "works").exists)
        for file in tmp_path.glob("ledger.db*"):
            file.write_bytes(b"no database" * 1000)
        finished.append(tree.wait(30))

    work_under(place, place.granted("a"), work, told.append)
    assert finished == [0]
    assert "the ledger does not answer" in told[0]
    assert "not given back yet" in told[-1]
    assert len(told) == 2, "the same was said again and again"
