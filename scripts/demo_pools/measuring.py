"""What came of the runs: when each step began and ended, read from Dagster's event log, alike for every set-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from scripts.demo_pools.plan import DEVICES, DEVICES_OF, Arrival


@dataclass(frozen=True, slots=True)
class Ran:
    """One run.

    Attributes:
        arrival: what was asked for.
        submitted, began, ended: seconds since the set-up's start; `began` when its step began to work.
        starting: seconds between its launch and its process being there; long where the machine is busy.
    """

    arrival: Arrival
    submitted: float
    began: float
    ended: float
    starting: float = 0.0

    @property
    def waited(self) -> float:
        """Seconds between submission and work, the start of its process included."""
        return self.began - self.submitted

    @property
    def device_seconds(self) -> float:
        """Parts of devices times seconds of work."""
        return DEVICES_OF[self.arrival.kind.pool] * (self.ended - self.began)


def ran(instance: dg.DagsterInstance, runs: Mapping[str, Arrival], started: float) -> list[Ran]:
    """Every run of the set-up; one that failed is missing."""
    found: list[Ran] = []
    for run_id, arrival in runs.items():
        record = instance.get_run_record_by_id(run_id)
        steps = [one for one in instance.get_run_step_stats(run_id) if one.start_time and one.end_time]
        if record and steps and record.dagster_run.status == dg.DagsterRunStatus.SUCCESS:
            stats = instance.get_run_stats(run_id)
            starting = (stats.start_time or 0.0) - (stats.launch_time or 0.0)
            submitted = record.create_timestamp.timestamp()
            step = steps[0]
            found.append(
                Ran(arrival, submitted - started, step.start_time - started, step.end_time - started, starting)
            )
    return found


@dataclass(frozen=True, slots=True)
class Figures:
    """What one demand, or all together, got.

    Attributes:
        runs: how many.
        mean_wait, longest_wait: seconds.
        finished: seconds after the start when the last run ended.
        utilisation: device time worked, as a share of all devices until the set-up's last run ended.
    """

    runs: int
    mean_wait: float
    longest_wait: float
    finished: float
    utilisation: float


def figures(runs: Sequence[Ran], span: float) -> Figures:
    """Figures of some runs, of a set-up that took `span` seconds."""
    waits = [run.waited for run in runs]
    return Figures(
        len(runs),
        sum(waits) / len(waits),
        max(waits),
        max(run.ended for run in runs),
        sum(run.device_seconds for run in runs) / (DEVICES * span),
    )
