"""`tests:` in YAML become asset checks; one with `severity: error` blocks what is downstream."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg

from llm_assets.schema import (
    AcceptedValues,
    Metric,
    NotNull,
    RowCount,
    Share,
    TableTest,
    Test,
    Unique,
)
from resources.dagster_platform import PlatformResource

if TYPE_CHECKING:
    from resources.platform import Platform

SAMPLES = 5  # offending values shown in a check's metadata
SEVERITY = {"warn": dg.AssetCheckSeverity.WARN, "error": dg.AssetCheckSeverity.ERROR}


class Readable(Protocol):
    """A table as checks read it."""

    def column(self, name: str) -> list[Any]:
        """One whole column."""
        ...

    def count(self) -> int:
        """The number of rows."""
        ...


class Outcome:
    """Whether a test passed, and what to show of it."""

    def __init__(self, passed: bool, **metadata: Any) -> None:
        self.passed = passed
        self.metadata = metadata


def table_checks(
    key: dg.AssetKey, tests: Sequence[TableTest], read: "Callable[[Platform], Readable]"
) -> list[dg.AssetChecksDefinition]:
    """The checks of one table.

    Args:
        key: the asset whose table it is.
        tests: from YAML.
        read: opens the table.
    """
    return _checks(key, tests, lambda platform, test: run_test(test, read(platform)))


def metric_checks(
    key: dg.AssetKey, tests: Sequence[Metric], metrics: "Callable[[Platform], Mapping[str, float]]"
) -> list[dg.AssetChecksDefinition]:
    """The checks of measured figures. `metrics` gives their latest values."""
    return _checks(key, tests, lambda platform, test: _metric(test, metrics(platform)))


def test_names(tests: Sequence[Test]) -> list[str]:
    """A name for each test, unique and stable: what it tests, numbered where two say the same."""
    names: list[str] = []
    for test in tests:
        parts = [getattr(test, "test", ""), getattr(test, "column", None) or getattr(test, "metric", None)]
        base = "_".join(re.sub(r"[^A-Za-z0-9]", "_", part) for part in parts if part)
        numbered = (base if number == 1 else f"{base}_{number}" for number in itertools.count(1))
        names.append(next(name for name in numbered if name not in names))
    return names


def run_test(test: TableTest, table: Readable) -> Outcome:
    """Run one test on a table."""
    match test:
        case RowCount():
            return _bounded(table.count(), test.min, test.max, "rows")
        case NotNull():
            empty = sum(value is None or value == "" or value == [] for value in table.column(test.column))
            return Outcome(empty == 0, empty=empty)
        case Unique():
            values = [str(value) for value in table.column(test.column)]  # a list cannot be in a set
            return Outcome(len(set(values)) == len(values), duplicates=len(values) - len(set(values)))
        case AcceptedValues():
            bad = sorted({str(value) for value in table.column(test.column) if str(value) not in test.values})
            return Outcome(not bad, not_accepted=", ".join(bad[:SAMPLES]))
        case Share():
            values = table.column(test.column)
            share = sum(str(value) == test.value for value in values) / max(1, len(values))
            return Outcome(share <= test.max, share=round(share, 4), max=test.max)


def _metric(test: Metric, metrics: Mapping[str, float]) -> Outcome:
    if test.metric not in metrics:
        return Outcome(False, reason=f"'{test.metric}' was not measured; measured: {', '.join(sorted(metrics))}")
    return _bounded(metrics[test.metric], test.min, test.max, test.metric)


def _bounded(value: float, low: float | None, high: float | None, name: str) -> Outcome:
    passed = (low is None or value >= low) and (high is None or value <= high)
    bounds = {key: bound for key, bound in (("min", low), ("max", high)) if bound is not None}
    return Outcome(passed, **{name: value}, **bounds)


def _checks(
    key: dg.AssetKey, tests: Sequence[Any], run: "Callable[[Platform, Any], Outcome]"
) -> list[dg.AssetChecksDefinition]:
    if not tests:
        return []
    names = test_names(tests)
    specs = [
        dg.AssetCheckSpec(name, asset=key, blocking=test.severity == "error", description=type(test).__doc__)
        for name, test in zip(names, tests, strict=True)
    ]

    @dg.multi_asset_check(name="_".join([*key.path, "tests"]), specs=specs, can_subset=True)
    def table_tests(
        context: dg.AssetCheckExecutionContext, platform: PlatformResource
    ) -> Iterator[dg.AssetCheckResult]:
        opened = platform.open()
        for name, test in zip(names, tests, strict=True):
            if dg.AssetCheckKey(key, name) in context.selected_asset_check_keys:
                outcome = run(opened, test)
                yield dg.AssetCheckResult(
                    asset_key=key,
                    check_name=name,
                    passed=outcome.passed,
                    severity=SEVERITY[test.severity],
                    metadata=outcome.metadata,
                )

    return [table_tests]
