"""The set-ups beside each other, as text: also where the pools of this project are not better."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

from scripts.demo_pools.measuring import Figures, Ran, figures
from scripts.demo_pools.plan import COUNTED, DEVICES, PARTS
from scripts.demo_pools.running import Result

ALL = "all"
MATTERS = 0.5  # seconds, or hundredths; a smaller difference is noise
BUSY = 2.0  # seconds that the start of a process takes when others use the machine; else it is below one
MEASURES: tuple[tuple[str, Callable[[Figures], float], bool], ...] = (
    ("mean wait, s", lambda one: one.mean_wait, True),
    ("longest wait, s", lambda one: one.longest_wait, True),
    ("last one ended after, s", lambda one: one.finished, True),
    ("devices used, % of all", lambda one: 100 * one.utilisation, False),
)


def lines(results: Sequence[Result]) -> list[str]:
    """The whole report."""
    text = [f"{len(results[0].runs)} runs on {DEVICES} pretended devices of 80 GB; the same runs in each set-up:"]
    text += [f"  {result.setup.name:<9} {describe(result)}" for result in results]
    for name, figure, _ in MEASURES:
        text += ["", *_table(results, name, figure)]
    text += ["", *_starting(results)]
    worse = list(not_better(results))
    return [*text, "", *(worse or ["Nowhere was another set-up better than the accelerator pools."])]


def _starting(results: Sequence[Result]) -> Iterator[str]:
    """Set-ups run one after the other: this shows whether other work disturbed one of them."""
    cells = [median(run.starting for run in result.runs) for result in results]
    yield f"{'start of a process, s':<26}" + "".join(f"{cell:>10.1f}" for cell in cells) + "  (median)"
    if max(cells) > BUSY or max(cells) > 2 * min(cells) + 0.2:
        yield "Other work kept this machine busy: these set-ups cannot be compared. Run it again when it is idle."


def describe(result: Result) -> str:
    """What the set-up is."""
    if not result.setup.leases:
        counted = ", ".join(f"{pool} {limit}" for pool, limit in COUNTED.items())
        return f"{result.setup.title}: steps are counted ({counted}), so that no device ever holds too much"
    if result.setup.parts:
        parts = ", ".join(f"{demand} {count}" for demand, count in PARTS.items())
        return f"{result.setup.title}: accelerator pools, but each demand has devices of its own ({parts})"
    return f"{result.setup.title}: all devices are everybody's"


def demands(runs: Sequence[Ran]) -> dict[str, list[Ran]]:
    """Runs by demand, and all of them."""
    names = dict.fromkeys(run.arrival.kind.demand for run in runs)
    return {name: [run for run in runs if run.arrival.kind.demand == name] for name in names} | {ALL: list(runs)}


def _table(results: Sequence[Result], name: str, figure: Callable[[Figures], float]) -> Iterator[str]:
    yield f"{name:<26}" + "".join(f"{result.setup.name:>10}" for result in results)
    for demand in demands(results[0].runs):
        cells = [figure(figures(demands(result.runs)[demand], result.span)) for result in results]
        yield f"  {demand:<24}" + "".join(f"{cell:>10.1f}" for cell in cells)


def not_better(results: Sequence[Result]) -> Iterator[str]:
    """A line for each figure in which another set-up was better than the first."""
    ours, *others = results
    for name, figure, low_is_good in MEASURES:
        for demand, runs in demands(ours.runs).items():
            mine = figure(figures(runs, ours.span))
            for other in others:
                theirs = figure(figures(demands(other.runs)[demand], other.span))
                if (mine - theirs if low_is_good else theirs - mine) > MATTERS:
                    yield f"Not better: {name}, {demand}: {mine:.1f}; with '{other.setup.name}' {theirs:.1f}"
