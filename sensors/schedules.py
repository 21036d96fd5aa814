"""What runs by the clock: corpora and models with a cron; examinations and tidying, nightly and weekly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.automation import Cron
from llm_assets.jobs import job_names
from llm_assets.maintenance.assets import NIGHTLY, WEEKLY

if TYPE_CHECKING:
    from llm_assets.configs import Configured
    from llm_assets.jobs import Job, Part

EVALUATE_AT, NIGHTLY_AT, WEEKLY_AT = "0 2 * * *", "0 4 * * *", "0 5 * * 0"  # UTC
VERBS = {"corpus": "ingest", "model": "train"}


def schedules(found: Sequence[Part], configured: Configured, jobs: Sequence[Job]) -> list[dg.ScheduleDefinition]:
    """All schedules; they run by default.

    Args:
        found: `parts` of the loaded components.
        configured: what YAML says of them.
        jobs: all jobs.
    """
    by_name = {job.name: job for job in jobs}
    clock = {"evaluate": EVALUATE_AT, NIGHTLY: NIGHTLY_AT, WEEKLY: WEEKLY_AT}
    fixed = [_schedule(by_name[name], Cron(cron=cron)) for name, cron in clock.items() if name in by_name]
    return [*fixed, *(_schedule(by_name[name], cron) for name, cron in _with_cron(found, configured).items())]


def _with_cron(found: Sequence[Part], configured: Configured) -> dict[str, Cron]:
    """The job of every corpus and model whose YAML has a cron."""
    settings = configured.settings
    names = {verb: job_names(found, verb) for verb in VERBS.values()}
    crons = {names[VERBS[part.kind]][part.id]: settings[part.id].automation for part in found}
    return {name: cron for name, cron in crons.items() if isinstance(cron, Cron)}


def _schedule(job: Job, cron: Cron) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron.cron,
        execution_timezone=cron.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
