"""Re-execute a failed run from its failure, once, from within a sensor.

Dagster's own daemon does this at once or not at all (`run_retries`). Here it is done later: the cause may be over.
The new run's id is derived from the failed one's: whoever comes second, also after a crash, finds it there.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

RETRY_NUMBER = "dagster/retry_number"  # Dagster's own tag: the UI shows it
FIRST_RUN = "llm_assets/retry_of"  # the run whose failure began a row of retries
SOURCE_TAG = "llm-assets/source"  # the source of files whose change has started the run; a retry has it too
_NAMESPACE = uuid.UUID("6f0d5a4e-3f4f-4a43-9c0d-0a6a5e7d2b11")


class CannotRetry(RuntimeError):
    """The run cannot be executed again as it was; the message says why."""


def retry_id(run_id: str) -> str:
    """The id of the run that tries a failed one again."""
    return str(uuid.uuid5(_NAMESPACE, run_id))


def is_retry(run: dg.DagsterRun) -> bool:
    """Whether a run was made here. Its tags alone do not tell: a re-execution from the UI has copies of them."""
    return run.parent_run_id is not None and run.run_id == retry_id(run.parent_run_id)


def retries_before(run: dg.DagsterRun) -> int:
    """How many retries there were, this run included; 0 for a run that is none."""
    number = run.tags.get(RETRY_NUMBER, "0") if is_retry(run) else "0"
    return int(number) if number.isdigit() else 0


def first_run(run: dg.DagsterRun) -> str:
    """The id of the run whose failure began the retries that this run belongs to; its own if it is none."""
    return run.tags.get(FIRST_RUN, run.run_id) if is_retry(run) else run.run_id


def was_tried_again(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether somebody else has re-executed it since: a person in the UI, or Dagster itself."""
    import dagster as dg

    children = instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": run.run_id}))
    return any(child.run_id != retry_id(run.run_id) for child in children)


def was_overtaken(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a newer run of the same source has been started since: it does what a retry would do."""
    import dagster as dg

    if SOURCE_TAG not in run.tags:
        return False
    of_source = dg.RunsFilter(tags={SOURCE_TAG: run.tags[SOURCE_TAG]})
    newest = next(iter(instance.get_run_records(of_source, limit=1)), None)
    return newest is not None and newest.dagster_run.run_id not in (run.run_id, retry_id(run.run_id))


def retry(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, run: dg.DagsterRun) -> str:
    """Queue the steps of a failed run that did not succeed, and those behind them. Called twice, it is one run.

    Args:
        instance: where the run is known.
        repository: the code location's, in this process.
        run: failed, and launched through the instance (not by a one-shot command).

    Returns:
        the new run's id.

    Raises:
        CannotRetry: its job, its assets or its steps are not there any more.
    """
    import dagster as dg
    from dagster._core.run_coordinator import QueuedRunCoordinator

    if not isinstance(instance.run_coordinator, QueuedRunCoordinator):
        raise CannotRetry("this instance has no queue of runs (run_coordinator in dagster.yaml)")
    new = instance.get_run_by_id(retry_id(run.run_id)) or _create(instance, repository, run)
    if new.status is dg.DagsterRunStatus.NOT_STARTED:  # else it was submitted before a crash
        instance.run_coordinator.submit_run(_submission(new))
    return new.run_id


def _submission(run: dg.DagsterRun) -> dg.SubmitRunContext:
    """The queue only marks the run; the daemon launches it, with a workspace of its own."""
    import dagster as dg

    return dg.SubmitRunContext(run, workspace=None)  # pyright: ignore[reportArgumentType]  (not read by a queue)


def _create(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, run: dg.DagsterRun) -> dg.DagsterRun:
    from dagster import DagsterError
    from dagster._core.execution.api import create_execution_plan
    from dagster._core.execution.plan.state import KnownExecutionState
    from dagster._core.snap import snapshot_from_execution_plan

    try:
        job = repository.get_job(run.job_name).get_subset(
            op_selection=run.op_selection,
            asset_selection=run.asset_selection,
            asset_check_selection=run.asset_check_selection,
        )
        steps, known = KnownExecutionState.build_resume_retry_reexecution(instance, run)
        plan = create_execution_plan(
            job, run.run_config, step_keys_to_execute=list(steps), known_state=known, tags=run.tags
        )
    except DagsterError as error:
        raise CannotRetry(f"{type(error).__name__}: its job has changed since") from error
    if not steps:
        raise CannotRetry("no step of it is left to do")
    return instance.create_run(
        job_name=run.job_name,
        run_id=retry_id(run.run_id),
        run_config=run.run_config,
        status=None,
        tags=_tags(run),
        root_run_id=run.root_run_id or run.run_id,
        parent_run_id=run.run_id,
        step_keys_to_execute=list(steps),
        execution_plan_snapshot=snapshot_from_execution_plan(plan, job.get_job_snapshot_id()),
        job_snapshot=job.get_job_snapshot(),
        parent_job_snapshot=job.get_parent_job_snapshot(),
        asset_selection=set(run.asset_selection) if run.asset_selection else None,
        asset_check_selection=set(run.asset_check_selection) if run.asset_check_selection is not None else None,
        resolved_op_selection=set(run.resolved_op_selection) if run.resolved_op_selection else None,
        op_selection=run.op_selection,
        remote_job_origin=run.remote_job_origin,
        job_code_origin=run.job_code_origin,
        asset_graph=job.asset_layer.asset_graph,
    )


def _tags(run: dg.DagsterRun) -> dict[str, str]:
    """The run's own, without what Dagster wrote about its end; as `DagsterInstance.create_reexecuted_run` does it."""
    from dagster._core.storage.tags import (
        PARENT_RUN_ID_TAG,
        RESUME_RETRY_TAG,
        ROOT_RUN_ID_TAG,
        TAGS_TO_MAYBE_OMIT_ON_RETRY,
    )

    kept = {name: value for name, value in run.tags.items() if name not in TAGS_TO_MAYBE_OMIT_ON_RETRY}
    return kept | {
        PARENT_RUN_ID_TAG: run.run_id,
        ROOT_RUN_ID_TAG: run.root_run_id or run.run_id,
        RETRY_NUMBER: str(retries_before(run) + 1),
        FIRST_RUN: first_run(run),
        RESUME_RETRY_TAG: "true",
    }
