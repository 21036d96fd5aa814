"""What runs by the clock: corpora and models with a cron; examinations and tidying, nightly and weekly."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.automation import Cron
from llm_assets.examining import obstacles
from llm_assets.jobs import EXAMINATIONS, Part, job_names, over_all_keys
from llm_assets.maintenance.assets import NIGHTLY, WEEKLY
from llm_assets.watching.claims import claim
from resources.dagster_platform import PlatformResource
from resources.state import StateError

if TYPE_CHECKING:
    from llm_assets.configs import Configured
    from llm_assets.jobs import Job
    from resources.platform import Platform

EVALUATE_AT, NIGHTLY_AT, WEEKLY_AT = "0 2 * * *", "0 4 * * *", "0 5 * * 0"  # UTC
VERBS = {"corpus": "ingest", "model": "train"}
# Within which a daemon that has claimed a tick has started its run, or is dead. Dagster waits a minute for a tick.
CLAIM_SECONDS, POLL_SECONDS = 20.0, 0.5

Selection = Sequence[dg.AssetKey] | dg.SkipReason | None  # None: all that the job has


def schedules(found: Sequence[Part], configured: "Configured", jobs: "Sequence[Job]") -> list[dg.ScheduleDefinition]:
    """All schedules; they run by default.

    Args:
        found: `parts` of the loaded components.
        configured: what YAML says of them.
        jobs: all jobs.
    """
    by_name = {job.name: job for job in jobs}
    clock = {"evaluate": EVALUATE_AT, NIGHTLY: NIGHTLY_AT, WEEKLY: WEEKLY_AT}
    select = {"evaluate": lambda platform: examinable(platform, found, configured)}
    fixed = [
        _schedule(by_name[name], Cron(cron=cron), select.get(name, _all))
        for name, cron in clock.items()
        if name in by_name
    ]
    return [*fixed, *(_schedule(by_name[name], cron) for name, cron in _with_cron(found, configured).items())]


def _with_cron(found: Sequence[Part], configured: "Configured") -> dict[str, Cron]:
    """The job of every corpus and model whose YAML has a cron."""
    settings = configured.settings
    names = {verb: job_names(found, verb) for verb in VERBS.values()}
    crons = {names[VERBS[part.kind]][part.id]: settings[part.id].automation for part in found}
    return {name: cron for name, cron in crons.items() if isinstance(cron, Cron)}


def examinable(platform: "Platform", found: Sequence[Part], configured: "Configured") -> Selection:
    """The examinations of the job `evaluate` that can be done now, or why there is none."""
    try:
        why = obstacles(platform, configured)
    except StateError:
        return None  # the run will say it, and be tried again
    keys = over_all_keys([part for part in found if part.id not in why], configured, EXAMINATIONS)
    return keys or dg.SkipReason("; ".join(why.values()) or "nothing is to be examined")


def _all(_platform: "Platform") -> Selection:
    return None


def _schedule(job: "Job", cron: Cron, select: "Callable[[Platform], Selection]" = _all) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron.cron,
        execution_timezone=cron.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def by_the_clock(
        context: dg.ScheduleEvaluationContext, platform: PlatformResource
    ) -> dg.RunRequest | dg.SkipReason:
        opened = platform.open()
        chosen = select(opened)
        if isinstance(chosen, dg.SkipReason):
            return chosen
        key = f"{job.name}_schedule:{context.scheduled_execution_time.isoformat()}"
        if not is_first(opened, context.instance, key):
            return dg.SkipReason("another daemon has started the run")
        return dg.RunRequest(run_key=key, asset_selection=chosen)

    return by_the_clock


def is_first(platform: "Platform", instance: dg.DagsterInstance, key: str) -> bool:
    """Whether this daemon, of several with a tick of this key, is to start its run.

    It waits for another one that has claimed the tick, until that one's run exists, or it counts as dead.
    """
    while not _claim(platform, key):
        time.sleep(POLL_SECONDS)
        if instance.get_runs(filters=dg.RunsFilter(tags={"dagster/run_key": key}), limit=1):
            return False
    return True


def _claim(platform: "Platform", key: str) -> bool:
    try:
        return claim(platform.state, key, CLAIM_SECONDS)
    except StateError:
        return True  # rather a run twice than none: it will say that the database is away, and be tried again
