"""The runs of `benchmarks.waiting`: `python -m benchmarks.waiting_jobs POOL STEPS` executes steps in one pool."""

from __future__ import annotations

import sys
from functools import lru_cache

import dagster as dg
from dagster._utils.interrupts import capture_interrupts


@lru_cache
def trivial(pool: str) -> dg.JobDefinition:
    """One step that does nothing."""
    return steps_in(pool, 1)


def steps_in(pool: str, count: int) -> dg.JobDefinition:
    """Steps that do nothing, side by side."""

    @dg.op(name=f"nothing_{pool}", pool=pool)
    def nothing() -> None:
        pass

    @dg.job(name=f"{pool}_{count}", executor_def=dg.in_process_executor, logger_defs={})
    def job() -> None:
        for number in range(count):
            nothing.alias(f"nothing_{pool}_{number}")()

    return job


def main() -> None:
    """Execute in this process, as a run worker does."""
    pool, count = sys.argv[1:]
    with dg.DagsterInstance.get() as instance, capture_interrupts():
        steps_in(pool, int(count)).execute_in_process(instance=instance)


if __name__ == "__main__":
    main()
