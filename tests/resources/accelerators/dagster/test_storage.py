"""Guards against an instance that opens slowly, loses Dagster's own pools, or stops at a slip in accelerators.yml."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from resources.accelerators.dagster_pools import SqlitePools, SqliteRuns
from tests.resources.accelerators.dagster.conftest import Home, wait_for
from tests.resources.accelerators.dagster.work import defs

OPEN = "import dagster as dg; dg.DagsterInstance.get().event_log_storage.get_pool_limits()"


@pytest.fixture
def any_instance(any_home: Home) -> Iterator[dg.DagsterInstance]:
    """The instance on each database."""
    with dg.DagsterInstance.get() as instance:
        yield instance


def queue(instance: dg.DagsterInstance, job: str, **tags: str) -> str:
    """A run that stands in the queue."""
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("tests"), "__repository__"), job)
    run = instance.create_run_for_job(
        defs.resolve_job_def(job),
        status=dg.DagsterRunStatus.QUEUED,
        tags=tags,
        remote_job_origin=origin,
        job_code_origin=dg.reconstructable(the_job).get_python_origin(),
    )
    return run.run_id


def the_job() -> dg.JobDefinition:
    """A job to name as the origin of queued runs; none of them starts here."""
    return defs.resolve_job_def("free__in_process")


def seen_by_the_daemon(instance: dg.DagsterInstance, page: int) -> list[str]:
    """Its question, page by page."""
    found: list[dg.DagsterRun] = []
    while True:
        cursor = found[-1].run_id if found else None
        filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])
        runs = instance.get_runs(filters, cursor=cursor, limit=page, ascending=True)
        found += runs
        if len(runs) < page:
            return [run.run_id for run in found]


def test_opening_an_instance_opens_no_ledger(home: Home) -> None:
    environment = os.environ | home.environment
    subprocess.run([sys.executable, "-W", "ignore", "-c", OPEN], env=environment, check=True, cwd=home.folder)
    assert not (home.folder / "ledger.db").exists()


def test_our_classes_are_the_ones_in_use(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.event_log_storage, SqlitePools)
    assert isinstance(instance.run_storage, SqliteRuns)


def test_our_pools_are_listed_beside_dagsters(any_instance: dg.DagsterInstance) -> None:
    storage = any_instance.event_log_storage
    storage.set_concurrency_slots("stock", 3)
    assert storage.get_concurrency_keys() == {"embed", "lora", "full", "beyond", "stock"}
    limits = {limit.name: limit.limit for limit in storage.get_pool_limits()}
    assert (limits["stock"], limits.keys()) == (3, storage.get_concurrency_keys())
    assert storage.get_concurrency_info("stock").slot_count == 3
    assert storage.claim_concurrency_slot("stock", "run", "step").is_claimed


def test_our_pools_have_no_number_of_slots_to_set(any_instance: dg.DagsterInstance) -> None:
    for change in (
        lambda: any_instance.event_log_storage.set_concurrency_slots("lora", 2),
        lambda: any_instance.event_log_storage.delete_concurrency_limit("lora"),
    ):
        with pytest.raises(dg.DagsterInvalidInvocationError, match=r"accelerators\.yml says what it asks for"):
            change()


def test_a_claim_is_granted_once_and_freed(any_home: Home, any_instance: dg.DagsterInstance) -> None:
    storage = any_instance.event_log_storage
    runs = [any_instance.create_run_for_job(defs.resolve_job_def("tunes__in_process")).run_id for _ in range(2)]
    for _ in range(2):
        assert storage.claim_concurrency_slot("full", runs[0], "tunes").is_claimed
    assert not storage.claim_concurrency_slot("full", runs[1], "tunes").is_claimed
    assert not storage.check_concurrency_claim("full", runs[1], "tunes").is_claimed
    assert storage.get_concurrency_run_ids() == set(runs)
    info = storage.get_concurrency_info("full")
    assert (info.active_run_ids, info.pending_run_ids) == ({runs[0]}, {runs[1]})
    storage.free_concurrency_slot_for_step(runs[0], "tunes")
    assert storage.claim_concurrency_slot("full", runs[1], "tunes").is_claimed
    storage.free_concurrency_slots_for_run(runs[1])
    assert any_home.leases() == []


@pytest.mark.parametrize("page", [1, 2, 100])
def test_the_daemon_sees_each_run_whose_turn_it_is_once(instance: dg.DagsterInstance, page: int) -> None:
    """Two devices: two of the three adaptations, and what is in no pool; page by page."""
    adapts = [queue(instance, "adapts__in_process") for _ in range(3)]
    free = [queue(instance, "free__in_process") for _ in range(2)]
    assert seen_by_the_daemon(instance, page) == [*adapts[:2], *free]


def test_people_see_the_whole_queue(instance: dg.DagsterInstance) -> None:
    runs = [queue(instance, "tunes__in_process") for _ in range(3)]
    found = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    assert [run.run_id for run in found] == runs[::-1]


@pytest.mark.parametrize(
    ("tag", "value"), [("accelerator/memory_gb", "0.0000000001"), ("accelerator/models", "[" * 100_000)]
)
def test_a_request_that_makes_no_sense_holds_up_no_other_run(
    home: Home, instance: dg.DagsterInstance, tag: str, value: str
) -> None:
    """It is shown, to start and fail; the ledger never has it, where it would stop every decision."""
    nonsense = queue(instance, "adapts__in_process", **{tag: value})
    other = queue(instance, "adapts__in_process")
    assert sorted(seen_by_the_daemon(instance, 100)) == sorted([nonsense, other])
    assert [waiting.run_id for waiting in home.ledger.view().waiting.values()] == [other]


def test_while_the_ledger_cannot_be_used_only_our_runs_stay_queued(home: Home, instance: dg.DagsterInstance) -> None:
    (home.folder / "ledger.db").write_text("this is no database" * 100)
    queue(instance, "adapts__in_process")
    free = queue(instance, "free__in_process")
    assert seen_by_the_daemon(instance, 100) == [free]


def test_after_a_slip_in_accelerators_yml_the_old_one_goes_on(
    home: Home, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    before = instance.event_log_storage.get_concurrency_keys()
    (home.folder / "accelerators.yml").write_text("pools: {lora: {memory_gb: many}}")
    wait_for(lambda: instance.event_log_storage.get_concurrency_keys() == before and "Going on" in caplog.text)
    assert instance.event_log_storage.get_concurrency_keys() == before


def test_pools_that_are_added_later_are_soon_ours(home: Home, instance: dg.DagsterInstance) -> None:
    assert "new" not in instance.event_log_storage.get_concurrency_keys()
    home.describe(pools={"new": {"memory_gb": 1}})
    wait_for(lambda: "new" in instance.event_log_storage.get_concurrency_keys(), seconds=2)
