"""Guards against steps that run without the devices they asked for, whichever executor starts them."""

from __future__ import annotations

import signal
import subprocess
import time

import dagster as dg
import pytest

from tests.resources.accelerators.dagster.conftest import Home, wait_for

EXECUTORS = (
    "in_process",
    pytest.param("multiprocess", marks=pytest.mark.long),
    pytest.param("delegating", marks=pytest.mark.long),
)


def ended_well(home: Home, *processes: subprocess.Popen[bytes]) -> None:
    """Every process has ended, without an error."""
    assert [process.wait(90) for process in processes] == [0] * len(processes), home.output()[-3000:]


def waiting(home: Home) -> list[str]:
    """Pools of the steps that ask at this moment."""
    return [row.request.pool for row in home.ledger.view().waiting.values() if row.stage == "claiming"]


@pytest.mark.parametrize("executor", ["in_process", "multiprocess", "delegating"])
def test_a_step_holds_its_devices_while_it_runs_and_gives_them_back(home: Home, executor: str) -> None:
    hold = home.hold()
    process = home.execute(f"adapts__{executor}")
    wait_for(home.begun)
    (lease,) = home.leases()
    assert (lease.request.pool, len(lease.shares), lease.asset) == ("lora", 1, "adapts")
    hold.unlink()
    ended_well(home, process)
    assert home.leases() == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_does_not_fit_waits_until_it_does(home: Home, executor: str) -> None:
    """Two devices of 80 GB: two of 60 GB run side by side, the gang of 150 GB waits for both."""
    hold = home.hold()
    first = [home.execute(f"adapts__{executor}"), home.execute(f"adapts__{executor}")]
    wait_for(lambda: home.begun() == 2)
    gang = home.execute(f"tunes__{executor}")
    wait_for(lambda: waiting(home) == ["full"])
    assert home.begun() == 2
    hold.unlink()
    ended_well(home, *first, gang)
    *small, last = sorted(home.done(), key=lambda step: step["begun"])
    assert last["begun"] >= max(step["ended"] for step in small)


@pytest.mark.long
def test_shares_of_one_device_run_side_by_side(home: Home) -> None:
    hold = home.hold()
    process = home.execute("thirty__delegating", {"accelerator/embed/memory_gb": "20"})
    wait_for(lambda: waiting(home) == ["embed"] * 22)
    assert len(home.leases()) == 8  # of 20 GB, on 2 devices of 80 GB
    home.end(process)
    hold.unlink()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_steps_that_are_known_only_later_ask_like_others(home: Home, executor: str) -> None:
    ended_well(home, home.execute(f"fans_out__{executor}"))
    assert len(home.done()) == 3


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_step_that_is_tried_again_asks_again(home: Home, executor: str) -> None:
    ended_well(home, home.execute(f"fails_once__{executor}"))
    assert len(home.done()) == 2
    assert len(home.ledger.history(0, time.time() + 1)) == 2
    assert home.leases() == []


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ("impossible", "1000 GB"),
        ("slips", "tag accelerator/memory_gb: 'plenty' is not permitted; it takes decimal GB"),
    ],
)
def test_what_can_never_run_fails_at_once_and_says_why(
    home: Home, instance: dg.DagsterInstance, executor: str, job: str, reason: str
) -> None:
    assert home.execute(f"{job}__{executor}").wait(60) != 0
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.FAILURE
    messages = [entry.dagster_event.message or "" for entry in instance.all_logs(run.run_id) if entry.dagster_event]
    assert any(job in message and reason in message for message in messages), messages
    assert home.done() == []


@pytest.mark.long
def test_a_refused_step_ends_its_running_siblings_and_their_run(home: Home, instance: dg.DagsterInstance) -> None:
    home.hold()
    assert home.execute("slip_beside_work__multiprocess").wait(60) != 0
    assert instance.get_runs()[0].status is dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_run_that_only_waits_ends_at_sigterm_and_leaves_nothing(home: Home, executor: str) -> None:
    home.hold()
    home.execute("tunes__in_process")
    wait_for(home.begun)
    waits = home.execute(f"adapts__{executor}")
    wait_for(lambda: waiting(home) == ["lora"])
    waits.send_signal(signal.SIGTERM)
    told = time.monotonic()
    assert waits.wait(10) != 0
    assert time.monotonic() - told < 5
    assert waiting(home) == []
    assert home.begun() == 1


@pytest.mark.long
def test_a_running_sibling_is_not_slowed_by_a_step_that_waits(home: Home) -> None:
    """The multiprocess executor passes on one event of a running step in each of its rounds."""
    home.hold()
    home.execute("tunes__in_process")
    wait_for(home.begun)
    both = home.execute("both__multiprocess", {"accelerator/embed/kind": "cpu"})
    wait_for(lambda: home.begun() == 2)
    (home.trace / "hold").unlink()
    ended_well(home, both)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_other_pools_stay_dagsters_own(home: Home, instance: dg.DagsterInstance, executor: str) -> None:
    instance.event_log_storage.set_concurrency_slots("stock", 1)
    hold = home.hold()
    processes = [home.execute(f"counted__{executor}"), home.execute(f"counted__{executor}")]
    wait_for(lambda: len(instance.event_log_storage.get_concurrency_info("stock").pending_steps) == 2)
    wait_for(home.begun)
    assert home.begun() == 1
    assert home.leases() == []
    hold.unlink()
    ended_well(home, *processes)


def test_a_killed_run_gives_its_devices_back_to_the_next(home: Home) -> None:
    home.hold()
    killed = home.execute("tunes__in_process")
    wait_for(home.begun)
    waits = home.execute("adapts__in_process")
    wait_for(lambda: waiting(home) == ["lora"])
    (home.trace / "hold").unlink()
    killed.kill()
    killed.wait()
    ended_well(home, waits)


def test_tags_of_the_run_say_what_its_steps_ask_for(home: Home) -> None:
    hold = home.hold()
    process = home.execute("refined__in_process", {"accelerator/lora/memory_gb": "70", "accelerator/priority": "3"})
    wait_for(home.begun)
    (lease,) = home.leases()
    asked = lease.request
    assert (asked.memory, asked.priority, asked.tenant) == (70 * 10**9, 3, "acme")
    hold.unlink()
    ended_well(home, process)
