"""A check of severity error that failed, and a job that is green: nobody looks at it again."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from llm_assets.chain import CHAIN_TAG, Chain
from llm_assets.ci_report import Report, markdown, report
from resources.platform import Platform

JOB = "__ephemeral_asset_job__"  # of `dg.materialize`


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        yield instance


def run(
    instance: dg.DagsterInstance, *, passed: bool, severity: dg.AssetCheckSeverity, blocking: bool, chain: str = "a"
) -> bool:
    """A run of a chain: an asset with one check; whether it succeeded, as Dagster sees it."""

    @dg.asset(key=["acme", "a"], check_specs=[dg.AssetCheckSpec("full", asset=["acme", "a"], blocking=blocking)])
    def checked() -> dg.MaterializeResult:
        result = dg.AssetCheckResult(
            passed=passed, check_name="full", severity=severity, metadata={"rows": 3, "why": "a|b"}
        )
        return dg.MaterializeResult(metadata={"parsed in this run": 5}, check_results=[result])

    tags = {CHAIN_TAG: chain}
    return dg.materialize([checked], instance=instance, raise_on_error=False, tags=tags).success


def told_of(platform: Platform, instance: dg.DagsterInstance, chain: str = "a") -> Report:
    """The report of a chain whose only job is that of `run`."""
    return report(platform, instance, Chain(chain, [JOB]))


def test_a_failed_check_of_severity_error_is_a_problem_also_where_the_run_succeeded(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    assert run(instance, passed=False, severity=dg.AssetCheckSeverity.ERROR, blocking=False)
    told = told_of(platform, instance)
    assert told.problems == ["check full of acme/a failed: rows 3, why a|b"]
    text = markdown(told, "ci")
    assert "### :x: check full of acme/a failed" in text
    assert r"| acme/a | full | error | :x: rows 3, why a\|b |" in text
    assert "5 documents parsed" in text


def test_one_that_blocks_fails_the_run_and_is_named(platform: Platform, instance: dg.DagsterInstance) -> None:
    assert not run(instance, passed=False, severity=dg.AssetCheckSeverity.ERROR, blocking=True)
    problems = told_of(platform, instance).problems
    assert problems[0].startswith("acme/a failed (check failed)")
    assert problems[1].startswith("check full of acme/a failed")


def test_a_warning_is_shown_and_is_no_problem(platform: Platform, instance: dg.DagsterInstance) -> None:
    run(instance, passed=False, severity=dg.AssetCheckSeverity.WARN, blocking=False)
    told = told_of(platform, instance)
    assert told.problems == []
    assert "All checks passed" in markdown(told, "ci")
    assert ":warning: rows 3" in markdown(told, "ci")


def test_what_others_have_run_meanwhile_hides_no_failure(platform: Platform, instance: dg.DagsterInstance) -> None:
    run(instance, passed=False, severity=dg.AssetCheckSeverity.ERROR, blocking=False)
    run(instance, passed=True, severity=dg.AssetCheckSeverity.ERROR, blocking=False, chain="of a sensor")
    assert told_of(platform, instance).problems == ["check full of acme/a failed: rows 3, why a|b"]


def test_all_runs_of_a_chain_are_told_of(platform: Platform, instance: dg.DagsterInstance) -> None:
    run(instance, passed=False, severity=dg.AssetCheckSeverity.ERROR, blocking=False)
    run(instance, passed=True, severity=dg.AssetCheckSeverity.ERROR, blocking=False)
    told = told_of(platform, instance)
    assert told.problems == ["check full of acme/a failed: rows 3, why a|b"]
    assert "10 documents parsed" in markdown(told, "ci")


def test_a_chain_that_has_not_run_what_it_was_to_run_is_a_failure(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    run(instance, passed=True, severity=dg.AssetCheckSeverity.ERROR, blocking=False)
    assert told_of(platform, instance).problems == []
    assert report(platform, instance, None).problems[0].startswith("there is no chain")
    assert report(platform, instance, Chain("b")).problems == ["the last chain ended before its first run"]
    assert told_of(platform, instance, "b").problems == [f"job {JOB} of the last chain has no run"]
    both = report(platform, instance, Chain("a", ["ingest_acme_parted", JOB]))
    assert both.problems == ["job ingest_acme_parted of the last chain has no run"]
