"""The steps of a run that are in pools, read from the execution plan that Dagster stored with the run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.snap.execution_plan_snapshot import ExecutionPlanSnapshot, ExecutionStepSnap

DYNAMIC = re.compile(r"\[[^\]]*\]")
POOL_TAG = "dagster/concurrency_key"  # how a pool was written before Dagster 1.10


@dataclass(frozen=True, slots=True)
class PooledStep:
    """A step that is in a pool.

    Attributes:
        key: its step key; of a dynamic step, with `[?]`.
        pool: its pool.
        tags: its op's tags.
        assets: keys of what it materialises, with slashes.
        root: whether nothing that the run executes comes before it.
    """

    key: str
    pool: str
    tags: Mapping[str, str] = field(default_factory=dict)
    assets: tuple[str, ...] = ()
    root: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The pooled steps that a run executes, and every name of the job by which a run's tags may mean a step."""

    steps: Mapping[str, PooledStep]
    names: frozenset[str]

    def step(self, key: str) -> PooledStep | None:
        """The step of that key; `train[3]` is found as `train[?]`."""
        return self.steps.get(key) or self.steps.get(DYNAMIC.sub("[?]", key))


NO_PLAN = Plan({}, frozenset())


class Plans:
    """Plans of the runs of one instance. Runs of the same job and selection share one, so few are read."""

    def __init__(self, most: int = 500) -> None:
        self._plans: dict[str, Plan] = {}
        self._most = most

    def of(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> Plan:
        """The plan of a run; empty if none was stored with it."""
        name = run.execution_plan_snapshot_id
        if name is None:
            return NO_PLAN
        if name not in self._plans:
            while len(self._plans) >= self._most:
                self._plans.pop(next(iter(self._plans)))
            self._plans[name] = plan_of(instance.get_execution_plan_snapshot(name))
        return self._plans[name]


def plan_of(snapshot: ExecutionPlanSnapshot) -> Plan:
    """The pooled steps of a stored execution plan."""
    executed = set(snapshot.step_keys_to_execute)
    dependencies = snapshot.step_deps
    steps = {
        step.key: PooledStep(
            step.key, pool, dict(step.tags or {}), _assets(step), not executed & set(dependencies[step.key])
        )
        for step in snapshot.steps
        if step.key in executed and (pool := _pool(step))
    }
    names = {name for step in snapshot.steps for name in (step.key, *_assets(step))}
    return Plan(steps, frozenset(names | {step.pool for step in snapshot.steps if step.pool}))


def _pool(step: ExecutionStepSnap) -> str | None:
    return step.pool or (step.tags or {}).get(POOL_TAG)


def _assets(step: ExecutionStepSnap) -> tuple[str, ...]:
    keys = (output.properties.asset_key for output in step.outputs if output.properties)
    return tuple(key.to_user_string() for key in keys if key)
