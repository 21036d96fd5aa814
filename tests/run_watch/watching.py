"""A job that fails as it is told, its runs, and what the watch has done about them."""

from __future__ import annotations

import time
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.dagster_run import DagsterRunStatus

from llm_assets.run_watch import Watch
from resources.platform import Platform
from resources.state_schema import alerts, finished_runs

ERRORS: dict[str, Exception | None] = {}  # what each asset raises now


@dg.asset(key=["acme", "handbook", "documents"])
def documents() -> None:
    """Succeeds unless told otherwise."""
    if error := ERRORS.get("documents"):
        raise error


CHECK = dg.AssetCheckSpec("full", asset=["acme", "handbook", "chunks"])


@dg.asset(key=["acme", "handbook", "chunks"], deps=[documents], check_specs=[CHECK])
def chunks() -> dg.MaterializeResult:
    """Fails its check of severity error, which does not block, if told so."""
    if error := ERRORS.get("chunks"):
        raise error
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed="check" not in ERRORS, check_name="full")])


DEFS = dg.Definitions(
    assets=[documents, chunks], jobs=[dg.define_asset_job("ingest")], executor=dg.in_process_executor
)
REPOSITORY = DEFS.get_repository_def()
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("llm-assets"), "__repository__"), "ingest"
)


def execute(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    """Do what a run's own process does."""
    job = InMemoryJob(REPOSITORY.get_job("ingest"))
    if run.step_keys_to_execute and run.status is DagsterRunStatus.QUEUED:
        instance.report_engine_event("launched", run)
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_STARTING", run.job_name), run.run_id)
        run = instance.get_run_by_id(run.run_id) or run
    list(execute_run_iterator(job, run, instance))
    return instance.get_run_by_id(run.run_id) or run


def failed_run(
    instance: dg.DagsterInstance, *, queued: bool = True, tags: dict[str, str] | None = None, **errors: Any
) -> dg.DagsterRun:
    """A finished run of the job; its origin says that the daemon may launch it again."""
    ERRORS.update(errors)
    origin = ORIGIN if queued else None
    job = REPOSITORY.get_job("ingest")
    return execute(instance, instance.create_run_for_job(job, remote_job_origin=origin, tags=tags))


def told(platform: Platform) -> list[dict[str, Any]]:
    return [row["alert"] for row in platform.state.rows(sa.select(alerts).order_by(alerts.c.created_at))]


def retried(platform: Platform) -> dict[str, str | None]:
    return {row["run_id"]: row["retried_as"] for row in platform.state.rows(sa.select(finished_runs))}


def looked(watch: Watch, since: float, times: int = 3) -> None:
    """As many ticks, each by a process that has just started."""
    for _ in range(times):
        Watch(watch.instance, Platform(watch.platform.profile), REPOSITORY).look(since)
        time.sleep(0.01)  # longer than a retry waits here
