"""An outage that is told at every change of the files; retries of runs that newer ones have overtaken."""

from __future__ import annotations

import threading

import dagster as dg
from dagster._core.storage.dagster_run import DagsterRunStatus

from llm_assets.reexecution import SOURCE_TAG, retry_id
from llm_assets.run_watch import Watch
from resources.dagster_alerts import AlertsResource
from resources.dagster_platform import PlatformResource
from resources.platform import Platform
from sensors.run_failures import run_failures
from tests.run_watch.watching import DEFS, ERRORS, execute, failed_run, looked, retried, told


def test_an_outage_that_fails_many_runs_of_a_source_is_told_once_and_the_next_one_again(
    watch: Watch, instance: dg.DagsterInstance, begun: float
) -> None:
    source = {SOURCE_TAG: "acme/told"}
    for _ in range(3):
        failed_run(instance, documents=ConnectionError("away"), tags=source)
        looked(watch, begun, times=1)
    other = failed_run(instance, documents=ConnectionError("away"), tags={SOURCE_TAG: "acme/other"})
    code = [failed_run(instance, documents=KeyError("x"), tags=source) for _ in range(2)]
    looked(watch, begun, times=1)
    assert [alert["severity"] for alert in told(watch.platform)].count("warning") == 2, "one outage a source"
    assert {run.run_id for run in (other, *code)} <= {alert["run_id"] for alert in told(watch.platform)}
    ERRORS.clear()
    assert failed_run(instance, tags=source).is_success
    again = failed_run(instance, documents=ConnectionError("away"), tags=source)
    looked(watch, begun, times=1)
    assert told(watch.platform)[-1]["run_id"] == again.run_id


def test_the_end_of_the_retries_of_an_outage_is_told_once(
    watch: Watch, instance: dg.DagsterInstance, begun: float
) -> None:
    for _ in range(2):
        run = failed_run(instance, documents=ConnectionError("away"), tags={SOURCE_TAG: "acme/ends"})
        for _ in range(2):
            looked(watch, begun)
            found = instance.get_run_by_id(retry_id(run.run_id))
            assert found is not None
            run = execute(instance, found)
        looked(watch, begun)
    assert [alert["severity"] for alert in told(watch.platform)] == ["warning", "error"]


def test_a_run_that_a_newer_one_of_its_source_has_overtaken_is_not_retried(
    watch: Watch, instance: dg.DagsterInstance, begun: float
) -> None:
    old, new, other = (
        failed_run(instance, documents=ConnectionError("away"), tags={SOURCE_TAG: source})
        for source in ("acme/overtaken", "acme/overtaken", "acme/alone")
    )
    looked(watch, begun)
    done = retried(watch.platform)
    assert done[old.run_id] == "none: a newer run of its source does it"
    assert [done[run.run_id] for run in (new, other)] == [retry_id(run.run_id) for run in (new, other)]


def test_of_two_daemons_that_look_at_once_one_tells_and_retries(
    watch: Watch, instance: dg.DagsterInstance, begun: float
) -> None:
    run = failed_run(instance, documents=ConnectionError("away"))
    barrier, results = threading.Barrier(2), []

    class Opened(PlatformResource):
        def open(self) -> Platform:
            return Platform(watch.platform.profile)

    def look() -> None:
        context = dg.build_sensor_context(instance=instance, definitions=DEFS, cursor=repr(begun))
        barrier.wait()
        results.append(run_failures(context, platform=Opened(target="dev"), alerts=AlertsResource(target="dev")))

    for _ in range(3):
        daemons = [threading.Thread(target=look) for _ in range(2)]
        for daemon in daemons:
            daemon.start()
        for daemon in daemons:
            daemon.join()
    assert len(results) == 6
    children = instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": run.run_id}))
    assert [(child.run_id, child.status) for child in children] == [(retry_id(run.run_id), DagsterRunStatus.QUEUED)]
    assert [alert["run_id"] for alert in told(watch.platform)] == [run.run_id]
