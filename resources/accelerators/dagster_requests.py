"""What a step asks for: its pool's settings, refined by the op's tags and then by the run's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from pydantic import ValidationError

from resources.accelerators.catalogue import models_matching
from resources.accelerators.configuration import Accelerators, PoolSettings, configuration_file, load_accelerators
from resources.accelerators.dagster_plans import DYNAMIC, Plan, Plans, PooledStep
from resources.accelerators.dagster_tags import OF_THE_RUN, PREFIX, Deadline, Tag, scoped_tags, short_tags
from resources.accelerators.errors import RequestError
from resources.accelerators.ledger.liveness import this_host
from resources.accelerators.requests import Process, Request, Stage, Waiting
from resources.accelerators.units import gb_to_bytes

if TYPE_CHECKING:
    import dagster as dg

PRIORITY_TAG = "dagster/priority"
LEAST_PRIORITY, MOST_PRIORITY = -1000, 1000
FROM_ELSEWHERE = ("dagster/parent_run_id", "dagster/backfill")
"""A run with one of these tags was given its tags for another, larger selection: names may be missing from it."""


def waiting_of(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    step_key: str,
    pool: str,
    *,
    submitted: float,
    stage: Stage = "claiming",
    claimant: Process | None = None,
    accelerators: Accelerators | None = None,
    plans: Plans | None = None,
) -> Waiting:
    """The request of one step of a run.

    Args:
        submitted: seconds since the epoch when it was first asked for.
        plans: plans that were read before; for callers that ask for many runs.

    Raises:
        RequestError: a tag cannot be understood, or the pool is not in accelerators.yml; says what is permitted.
        ConfigError: accelerators.yml cannot be understood.
    """
    accelerators = accelerators or load_accelerators()
    plan = (plans or Plans(1)).of(instance, run)
    step = plan.step(step_key) or PooledStep(step_key, pool)
    request = request_of(accelerators, plan, step, pool, step_key, run.tags, submitted)
    return Waiting(run.run_id, step_key, request, submitted, stage, ", ".join(step.assets), claimant)


def request_of(
    accelerators: Accelerators,
    plan: Plan,
    step: PooledStep,
    pool: str,
    step_key: str,
    run_tags: Mapping[str, str],
    submitted: float,
) -> Request:
    """What is asked for; see `waiting_of`."""
    settings = accelerators.pools.get(pool)
    if settings is None:
        known = ", ".join(sorted(accelerators.pools)) or "none"
        raise RequestError(f"pool '{pool}' is not in {configuration_file()}; pools there: {known}")
    tags = _tags(accelerators, plan, step, pool, step_key, run_tags)
    refined = _refined(pool, settings, tags)
    return Request(
        pool=pool,
        memory=refined.memory,
        devices=refined.devices,
        linked=refined.linked,
        share=refined.share,
        compute=refined.compute,
        kind=refined.kind,
        models=models_matching(refined.models),
        cpus=refined.cpus,
        host_memory=None if refined.host_memory_gb is None else gb_to_bytes(refined.host_memory_gb),
        priority=refined.priority if "priority" in tags else _dagster_priority(step, run_tags, refined.priority),
        deadline=_deadline(tags, submitted),
        tenant=_tenant(tags, step, run_tags),
        preemptible=refined.preemptible,
        expected=None if refined.expected_minutes is None else refined.expected_minutes * 60,
        launcher=this_host(),
    )


def _tags(
    accelerators: Accelerators,
    plan: Plan,
    step: PooledStep,
    pool: str,
    step_key: str,
    run_tags: Mapping[str, str],
) -> dict[str, Tag]:
    """Field to the tag that decides it: the narrower wins, and a run's tag over an op's."""
    scoped = scoped_tags(run_tags)
    _check_scopes(scoped, plan, accelerators, run_tags)
    short = short_tags(run_tags)
    _check_short(short, [other for other in plan.steps.values() if other.pool in accelerators.pools])
    found = short_tags(step.tags) | short
    for scope in (pool, *step.assets, step.key, step_key):
        found |= scoped.get(scope, {})
    return found


def _check_scopes(
    scoped: Mapping[str, Mapping[str, Tag]], plan: Plan, accelerators: Accelerators, run_tags: Mapping[str, str]
) -> None:
    if any(tag in run_tags for tag in FROM_ELSEWHERE):
        return
    known = plan.names | accelerators.pools.keys()
    for scope, tags in scoped.items():
        if scope not in known and DYNAMIC.sub("[?]", scope) not in known:
            tag = next(iter(tags.values()))
            raise RequestError(
                f"tag {tag.name}: this run has no pool, asset or step '{scope}'; it has {', '.join(sorted(known))}"
            )


def _check_short(short: Mapping[str, Tag], pooled: Collection[PooledStep]) -> None:
    ambiguous = next((tag for field, tag in short.items() if field not in OF_THE_RUN), None)
    if ambiguous and len(pooled) > 1:
        field, names = ambiguous.name.removeprefix(PREFIX), sorted(step.key for step in pooled)
        raise RequestError(
            f"tag {ambiguous.name}: this run has {len(pooled)} steps in pools ({', '.join(names)}); "
            f"say which is meant: {PREFIX}<pool, asset or step>/{field}"
        )


def _refined(pool: str, settings: PoolSettings, tags: Mapping[str, Tag]) -> PoolSettings:
    fields = {field: tag.value for field, tag in tags.items() if field in PoolSettings.model_fields}
    values = settings.model_dump() | fields
    if not values["share"] and "compute" not in fields:
        values["compute"] = None  # the pool's part of a shared device means nothing for a device of its own
    try:
        return PoolSettings.model_validate(values)
    except ValidationError as error:
        names = ", ".join(sorted(tag.name for tag in tags.values()))
        reasons = "; ".join(str(problem["msg"]).removeprefix("Value error, ") for problem in error.errors())
        raise RequestError(f"pool '{pool}' with the tags {names}: {reasons}") from None


def _dagster_priority(step: PooledStep, run_tags: Mapping[str, str], default: int) -> int:
    """Its run's priority plus its op's, as in Dagster itself, where what is no number counts as 0."""
    if PRIORITY_TAG not in run_tags and PRIORITY_TAG not in step.tags:
        return default
    total = sum(int_or_zero(tags.get(PRIORITY_TAG, "0")) for tags in (run_tags, step.tags))
    return max(LEAST_PRIORITY, min(MOST_PRIORITY, total))


def int_or_zero(text: str) -> int:
    """A whole number; 0 where it is none."""
    try:
        return int(text)
    except ValueError:
        return 0


def _deadline(tags: Mapping[str, Tag], submitted: float) -> float | None:
    deadline = tags["deadline"].value if "deadline" in tags else None
    return deadline.since_epoch(submitted) if isinstance(deadline, Deadline) else None


def _tenant(tags: Mapping[str, Tag], step: PooledStep, run_tags: Mapping[str, str]) -> str:
    if "tenant" in tags:
        return str(tags["tenant"].value)
    return run_tags.get("tenant") or step.tags.get("tenant") or "default"
