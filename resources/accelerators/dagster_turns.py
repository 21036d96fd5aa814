"""Which queued runs may start, and in which order. Plain values: no Dagster, no ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from resources.accelerators.requests import Waiting


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """A run in Dagster's queue.

    Attributes:
        run_id: whose.
        priority: Dagster's own priority of the run.
        unlimited: some first step of it is in no pool of ours: Dagster alone says when it starts.
        pools: of its first steps, pool to how many.
        requests: what its first steps ask of the ledger.
        refused: why they can never be granted; the run starts, to fail with that.
    """

    run_id: str
    priority: int
    unlimited: bool = False
    pools: Mapping[str, int] = field(default_factory=dict)
    requests: tuple[Waiting, ...] = ()
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A run that may start, with the priority of the place that it takes."""

    run_id: str
    priority: int


def turns(runs: Sequence[QueuedRun], offered: Sequence[str], let_through: Collection[str] = ()) -> list[Turn]:
    """The runs that Dagster's daemon may start, in order.

    Our runs take, among the places that they occupy by Dagster's priority and age, the ledger's order. Runs that do
    not depend on the ledger stay where they are.

    Args:
        runs: all queued ones, oldest first.
        offered: runs whose turn it is, the next one first; a run may be named once for each of its steps.
        let_through: runs that start after those.
    """
    rank = {run_id: place for place, run_id in reversed(list(enumerate(offered)))}
    behind = len(offered)
    shown = [
        run
        for run in runs
        if run.unlimited or run.refused is not None or run.run_id in rank or run.run_id in let_through
    ]
    places = sorted(shown, key=lambda run: -run.priority)
    ours = iter(
        sorted(
            (run for run in places if not run.unlimited),
            key=lambda run: -1 if run.refused is not None else rank.get(run.run_id, behind),
        )
    )
    return [Turn((run if run.unlimited else next(ours)).run_id, run.priority) for run in places]
