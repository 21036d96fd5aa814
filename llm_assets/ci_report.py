"""What the last chain made, as Markdown for the page of a CI job, and whether CI may go on.

A run ends well although an asset check of severity error failed, where that check does not block what is downstream;
so the checks are read from the runs. Runs that somebody else has started meanwhile are not of the chain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_assets.chain import CHAIN_TAG
from llm_assets.failures import failure_of
from llm_assets.run_work import work_of_run
from llm_assets.status import status

if TYPE_CHECKING:
    import dagster as dg

    from llm_assets.chain import Chain
    from resources.platform import Platform

SHOWN_QUARANTINED = 20
Row = Sequence[object]


@dataclass(frozen=True)
class Check:
    """How one asset check of a run ended."""

    asset: str
    name: str
    passed: bool
    error: bool
    said: str


@dataclass(frozen=True)
class Report:
    """What is published of a chain.

    Attributes:
        run_ids: Dagster's, in the order of the runs.
        failed: what failed in them, one sentence each.
        checks: that they evaluated.
        work: what was computed, by kind.
        found: `status` of corpora and models.
    """

    run_ids: Sequence[str]
    failed: Sequence[str]
    checks: Sequence[Check]
    work: Mapping[str, int]
    found: Mapping[str, list[dict[str, Any]]]

    @property
    def problems(self) -> list[str]:
        """Why CI must not go on; empty if it may."""
        return [
            *self.failed,
            *(
                f"check {check.name} of {check.asset} failed{f': {check.said}' if check.said else ''}"
                for check in self.checks
                if check.error and not check.passed
            ),
        ]


def report(platform: Platform, instance: dg.DagsterInstance, chain: Chain | None) -> Report:
    """The report of a chain; None: there was none, which is a problem like another."""
    import dagster as dg

    runs: Sequence[dg.DagsterRun] = ()
    if chain:
        runs = instance.get_runs(filters=dg.RunsFilter(tags={CHAIN_TAG: chain.id}), ascending=True)
    work = Counter[str]()
    for run in runs:
        work.update(work_of_run(instance, run.run_id))
    return Report(
        run_ids=[run.run_id for run in runs],
        failed=[*_not_run(chain, runs), *filter(None, (_failed(instance, run) for run in runs))],
        checks=[check for run in runs for check in _checks(instance, run.run_id)],
        work=work,
        found=status(platform),
    )


def markdown(told: Report, target: str) -> str:
    """The report as Markdown: verdict, checks, retrieval and models, documents."""
    verdict = ["### :x: " + problem for problem in told.problems] or ["### :white_check_mark: All checks passed"]
    work = ", ".join(f"{count:,} {name}" for name, count in told.work.items()) or "nothing new"
    parts = [
        f"## llm-assets, target `{target}`",
        *verdict,
        *([f"Run {', '.join(f'`{run_id}`' for run_id in told.run_ids)}: {work}."] if told.run_ids else []),
        _section("Corpora", ("corpus", "documents", "quarantined", "passages", "served"), _corpora(told)),
        _section("Retrieval", *_metric_table(told.found["corpora"], "corpus")),
        _section("Models", *_metric_table(told.found["models"], "model", extra="promoted")),
        _section("Checks", ("asset", "check", "severity", "outcome"), _check_rows(told.checks)),
        _section("Quarantined", ("document", "reason"), _quarantined(told)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _not_run(chain: Chain | None, runs: Sequence[dg.DagsterRun]) -> list[str]:
    if chain is None:
        return ["there is no chain: llm-assets chain, with DAGSTER_HOME set to the project"]
    if not chain.jobs:
        return ["the last chain ended before its first run"]
    begun = {run.job_name for run in runs}
    return [f"job {job} of the last chain has no run" for job in chain.jobs if job not in begun]


def _failed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    if run.is_success:
        return None
    if not run.is_failure:
        return f"the run has not ended: {run.status.value}"
    failure = failure_of(instance, run)
    return f"{', '.join(failure.assets) or 'the run'} failed ({failure.kind.words}): {failure.said}"


def _checks(instance: dg.DagsterInstance, run_id: str) -> Iterator[Check]:
    import dagster as dg

    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        if found := entry.asset_check_evaluation:
            yield Check(
                asset="/".join(found.asset_key.path),
                name=found.check_name,
                passed=found.passed,
                error=found.severity is dg.AssetCheckSeverity.ERROR,
                said=found.description or ", ".join(f"{key} {value.value}" for key, value in found.metadata.items()),
            )


def _corpora(told: Report) -> list[Row]:
    return [
        (row["corpus"], row["documents"], len(row["quarantined"]), row["chunks"], row["vectors"])
        for row in told.found["corpora"]
    ]


def _metric_table(
    entries: Iterable[Mapping[str, Any]], subject: str, extra: str | None = None
) -> tuple[Row, list[Row]]:
    """One line for each measured thing, one column for each metric."""
    measured = [entry for entry in entries if entry["evaluation"]]
    names = list(dict.fromkeys(name for entry in measured for name in entry["evaluation"]))
    fixed = [subject, *([extra] if extra else [])]
    rows: list[Row] = [
        [*(entry[name] or "nothing" for name in fixed), *(entry["evaluation"].get(name, "") for name in names)]
        for entry in measured
    ]
    return [*fixed, *names], rows


def _check_rows(checks: Iterable[Check]) -> list[Row]:
    """The failed ones first."""
    return [
        (check.asset, check.name, "error" if check.error else "warn", _outcome(check))
        for check in sorted(checks, key=lambda check: (check.passed, check.asset, check.name))
    ]


def _outcome(check: Check) -> str:
    mark = ":white_check_mark:" if check.passed else (":x:" if check.error else ":warning:")
    return f"{mark} {check.said}".strip()


def _quarantined(told: Report) -> list[Row]:
    rows = [(row["uri"], row["reason"]) for corpus in told.found["corpora"] for row in corpus["quarantined"]]
    more = len(rows) - SHOWN_QUARANTINED
    return [*rows[:SHOWN_QUARANTINED], *([("…", f"and {more} more")] if more > 0 else [])]


def _section(title: str, header: Row, rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    lines = [_line(header), _line(["---"] * len(header)), *(_line(row) for row in rows)]
    return "\n".join([f"### {title}", "", *lines])


def _line(cells: Row) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(value: object) -> str:
    """On one line, and without what would end the cell or become markup of the page."""
    if isinstance(value, float):
        return f"{value:.3f}"
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
