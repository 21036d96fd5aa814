"""A failure that is told at every tick, or never; a retry that is lost in a restart, or done twice by two daemons."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.dagster_run import DagsterRunStatus

from llm_assets.failures import Kind
from llm_assets.reexecution import CannotRetry, first_run, retries_before, retry, retry_id
from llm_assets.run_watch import WATCH, Watch, pause_before
from resources.alerts import Alerts
from resources.alerts.settings import RetrySettings
from resources.dagster_alerts import AlertsResource
from resources.dagster_platform import PlatformResource
from resources.platform import Platform
from resources.state_schema import pins
from sensors.run_failures import run_failures
from tests.run_watch.watching import (
    DEFS,
    ERRORS,
    ORIGIN,
    REPOSITORY,
    documents,
    execute,
    failed_run,
    looked,
    retried,
    told,
)


def test_a_service_that_was_away_is_retried_from_the_failure_and_told_once(
    watch: Watch, instance: dg.DagsterInstance, begun: float
) -> None:
    run = failed_run(instance, chunks=ConnectionError("away"), tags={"team": "legal"})
    looked(watch, begun)
    again = instance.get_run_by_id(retry_id(run.run_id))
    assert again is not None
    assert again.status is DagsterRunStatus.QUEUED
    assert again.step_keys_to_execute == ["acme__handbook__chunks"], "what had succeeded is not done again"
    assert (again.parent_run_id, again.root_run_id, again.tags["team"]) == (run.run_id, run.run_id, "legal")
    assert again.remote_job_origin == ORIGIN
    (alert,) = told(watch.platform)
    assert alert["title"] == "acme: a run of job ingest failed: service down"
    assert alert["tried"].startswith("retry 1 of 2 at ")
    assert (alert["severity"], alert["tenant"], alert["run_id"]) == ("warning", "acme", run.run_id)
    assert alert["assets"] == ["acme/handbook/chunks"]
    assert alert["link"] == f"http://127.0.0.1:3000/runs/{run.run_id}"
    ERRORS.clear()
    assert execute(instance, again).is_success
    looked(watch, begun)
    assert len(told(watch.platform)) == 1


def test_retries_end_and_their_end_is_told(watch: Watch, instance: dg.DagsterInstance, begun: float) -> None:
    run = first = failed_run(instance, chunks=ConnectionError("away"))
    for number in (1, 2):
        looked(watch, begun)
        found = instance.get_run_by_id(retry_id(run.run_id))
        assert found is not None
        assert (retries_before(found), first_run(found)) == (number, first.run_id)
        run = execute(instance, found)
        assert run.is_failure
    looked(watch, begun)
    assert instance.get_run_by_id(retry_id(run.run_id)) is None
    assert [(alert["severity"], alert["tried"]) for alert in told(watch.platform)][1:] == [("error", "2 retries")]
    assert told(watch.platform)[1]["title"] == "acme: retries of a run of job ingest failed: service down"
    assert told(watch.platform)[1]["run_id"] == run.run_id


@pytest.mark.parametrize(
    ("error", "tried"),
    [
        (dg.Failure("documents: no file is there"), "no further retry: it would fail again"),
        (KeyError("x"), "no further retry: it would fail again"),
        (MemoryError(), "no further retry: it would fail again"),
    ],
)
def test_what_would_fail_again_is_not_retried(
    error: Exception, tried: str, watch: Watch, instance: dg.DagsterInstance, begun: float
) -> None:
    run = failed_run(instance, documents=error)
    looked(watch, begun)
    assert retried(watch.platform)[run.run_id] is None
    assert instance.get_run_by_id(retry_id(run.run_id)) is None
    assert [(alert["severity"], alert["tried"]) for alert in told(watch.platform)] == [("error", tried)]


def test_a_one_shot_command_and_runs_that_dagster_retries_are_told_and_left_alone(
    watch: Watch, instance: dg.DagsterInstance, begun: float
) -> None:
    failed_run(instance, queued=False, documents=ConnectionError("away"))
    failed_run(instance, tags={"dagster/max_retries": "1"}, documents=ConnectionError("away"))
    looked(watch, begun)
    assert set(retried(watch.platform).values()) == {None}
    assert sorted(alert["tried"] for alert in told(watch.platform)) == [
        "Dagster's run_retries decide about a retry",
        "no retry: it was started by a one-shot command",
    ]


def test_a_run_that_somebody_has_re_executed_is_not_retried(
    watch: Watch, instance: dg.DagsterInstance, begun: float
) -> None:
    run = failed_run(instance, documents=ConnectionError("away"))
    child = {"dagster/parent_run_id": run.run_id, "dagster/root_run_id": run.run_id}
    instance.create_run_for_job(REPOSITORY.get_job("ingest"), tags=child)  # as the UI does
    looked(watch, begun)
    assert retried(watch.platform)[run.run_id] == "none: somebody else has re-executed it"


def test_a_job_that_is_gone_is_said_instead_of_retried(
    watch: Watch, instance: dg.DagsterInstance, begun: float
) -> None:
    failed_run(instance, documents=ConnectionError("away"))
    other = dg.Definitions(assets=[documents]).get_repository_def()
    for _ in range(2):
        Watch(instance, watch.platform, other).look(begun)
        time.sleep(0.01)
    assert [alert["title"] for alert in told(watch.platform)][1] == (
        "a run of job ingest failed, and cannot be tried again"
    )
    with pytest.raises(CannotRetry, match="its job has changed since"):
        retry(instance, other, failed_run(instance))


def test_a_retry_asked_for_twice_is_one_run_also_after_a_crash_before_it_was_queued(
    instance: dg.DagsterInstance, platform: Platform
) -> None:
    run = failed_run(instance, documents=ConnectionError("away"))
    coordinator = instance.run_coordinator
    submit, coordinator.submit_run = coordinator.submit_run, _dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        retry(instance, REPOSITORY, run)
    coordinator.submit_run = submit  # type: ignore[method-assign]
    assert [retry(instance, REPOSITORY, run) for _ in range(2)] == [retry_id(run.run_id)] * 2
    made = instance.get_run_records(dg.RunsFilter(tags={"dagster/parent_run_id": run.run_id}))
    assert [record.dagster_run.status for record in made] == [DagsterRunStatus.QUEUED]


def _dies(_context: object) -> dg.DagsterRun:
    raise KeyboardInterrupt


def test_a_failed_check_of_severity_error_is_told_though_the_run_succeeded(
    watch: Watch, instance: dg.DagsterInstance, begun: float
) -> None:
    run = failed_run(instance, check=None)
    assert run.is_success
    looked(watch, begun)
    (alert,) = told(watch.platform)
    assert alert["title"] == "acme: check full of acme/handbook/chunks failed"
    assert alert["run_id"] == run.run_id


def test_a_pin_is_told_once(watch: Watch, begun: float) -> None:
    pin = {"tenant": "acme", "kind": "index", "name": "handbook", "pinned_at": begun}
    watch.platform.state.put(pins, [pin])
    looked(watch, begun)
    (alert,) = told(watch.platform)
    assert alert["advice"].startswith("llm-assets resume index acme/handbook")


def test_a_log_that_cannot_be_read_keeps_no_other_failure_from_being_told(
    watch: Watch, instance: dg.DagsterInstance, begun: float
) -> None:
    broken, whole = (failed_run(instance, documents=KeyError("x")) for _ in range(2))
    folder = Path(instance.root_directory) / "history" / "runs"
    file = next(folder.rglob(f"{broken.run_id}.db"))
    file.write_bytes(b"not a database" * 100)
    looked(watch, begun)
    assert {alert["run_id"]: alert["what"] for alert in told(watch.platform)} == {
        broken.run_id: "its event log cannot be read (DatabaseError)",
        whole.run_id: "KeyError",
    }


def test_the_second_daemon_leaves_the_runs_to_the_first(platform: Platform, instance: dg.DagsterInstance) -> None:
    class Opened(PlatformResource):
        def open(self) -> Platform:
            return platform

    context = dg.build_sensor_context(instance=instance, definitions=DEFS)
    resources = {"platform": Opened(target="dev"), "alerts": AlertsResource(target="dev")}
    with platform.state.lock(WATCH):
        found = run_failures(context, **resources)
        assert isinstance(found, dg.SkipReason)
        assert found.skip_message == "another daemon is looking at the runs"
    result = run_failures(context, **resources)
    assert isinstance(result, dg.SensorResult)
    assert float(result.cursor or "nan") <= time.time()


def test_pauses_grow_and_end() -> None:
    settings = RetrySettings(most=3, after_seconds=30)
    assert [pause_before(Kind.SERVICE_DOWN, before, settings) for before in range(4)] == [30, 120, 480, None]
    assert pause_before(Kind.CODE, 0, settings) is None
    assert pause_before(Kind.NODE_LOST, 0, RetrySettings(most=0)) is None


def test_alerts_name_the_page_of_the_run(platform: Platform) -> None:
    assert Alerts(platform).run_link("1") == "http://127.0.0.1:3000/runs/1"
