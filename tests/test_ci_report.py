"""A check of severity error that failed, and a job that is green: nobody looks at it again."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from llm_assets.ci_report import markdown, report
from resources.platform import Platform


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> dg.DagsterInstance:
    return dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance")))


def run(instance: dg.DagsterInstance, *, passed: bool, severity: dg.AssetCheckSeverity, blocking: bool) -> bool:
    """A run of an asset with one check; whether it succeeded, as Dagster sees it."""

    @dg.asset(key=["acme", "a"], check_specs=[dg.AssetCheckSpec("full", asset=["acme", "a"], blocking=blocking)])
    def checked() -> dg.MaterializeResult:
        result = dg.AssetCheckResult(
            passed=passed, check_name="full", severity=severity, metadata={"rows": 3, "why": "a|b"}
        )
        return dg.MaterializeResult(metadata={"parsed in this run": 5}, check_results=[result])

    return dg.materialize([checked], instance=instance, raise_on_error=False).success


def test_a_failed_check_of_severity_error_is_a_problem_also_where_the_run_succeeded(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    assert run(instance, passed=False, severity=dg.AssetCheckSeverity.ERROR, blocking=False)
    told = report(platform, instance)
    assert told.problems == ["check full of acme/a failed: rows 3, why a|b"]
    text = markdown(told, "ci")
    assert "### :x: check full of acme/a failed" in text
    assert r"| acme/a | full | error | :x: rows 3, why a\|b |" in text
    assert "5 documents parsed" in text


def test_one_that_blocks_fails_the_run_and_is_named(platform: Platform, instance: dg.DagsterInstance) -> None:
    assert not run(instance, passed=False, severity=dg.AssetCheckSeverity.ERROR, blocking=True)
    problems = report(platform, instance).problems
    assert problems[0].startswith("acme/a failed (check failed)")
    assert problems[1].startswith("check full of acme/a failed")


def test_a_warning_is_shown_and_is_no_problem(platform: Platform, instance: dg.DagsterInstance) -> None:
    run(instance, passed=False, severity=dg.AssetCheckSeverity.WARN, blocking=False)
    told = report(platform, instance)
    assert told.problems == []
    assert "All checks passed" in markdown(told, "ci")
    assert ":warning: rows 3" in markdown(told, "ci")


def test_without_a_run_there_is_nothing_to_trust(platform: Platform, tmp_path: Path) -> None:
    told = report(platform, dg.DagsterInstance.local_temp(str(tmp_path)))
    assert told.problems == ["there is no run: materialise first, with DAGSTER_HOME set to the project"]
