"""What a run prints: progress in short lines, warnings and errors in full, and only as much as was asked for."""

import dagster as dg
import pytest

from llm_assets.console import console_logger


@dg.asset(key_prefix=["acme", "handbook"])
def documents(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    context.log.info("12 of 40 files read")
    context.log.debug("a detail")
    context.log.warning("規程.md is quarantined")
    return dg.MaterializeResult(metadata={"dagster/row_count": 40, "seconds": 1.5, "note": "text"})


@dg.asset
def broken() -> None:
    raise ValueError("the disk is full")


def printed(capfd: pytest.CaptureFixture[str], asset: dg.AssetsDefinition, **config: str) -> list[str]:
    job = dg.define_asset_job("job", selection=[asset])
    defs = dg.Definitions([asset], jobs=[job], loggers={"console": console_logger})
    run_config = {"loggers": {"console": {"config": config}}}
    defs.resolve_job_def("job").execute_in_process(run_config=run_config, raise_on_error=False)
    return capfd.readouterr().err.splitlines()


def test_progress_is_short_and_names_the_asset(capfd: pytest.CaptureFixture[str]) -> None:
    lines = printed(capfd, documents)
    progress = next(line for line in lines if "12 of 40 files read" in line)
    assert progress.split()[1:] == ["acme/handbook/documents", "12", "of", "40", "files", "read"]
    assert any("row count 40" in line and "seconds 1.5" in line for line in lines)
    assert not any("a detail" in line or "RESOURCE_INIT" in line or "LOADED_INPUT" in line for line in lines)


def test_a_warning_says_that_it_is_one(capfd: pytest.CaptureFixture[str]) -> None:
    lines = printed(capfd, documents)
    assert any("WARNING: 規程.md is quarantined" in line for line in lines)


def test_a_failure_says_why(capfd: pytest.CaptureFixture[str]) -> None:
    assert any("ERROR" in line and "broken" in line for line in printed(capfd, broken))


@dg.resource
def unreachable(_context: dg.InitResourceContext) -> None:
    raise ConnectionError("no route to the ledger")


@dg.asset(required_resource_keys={"unreachable"})
def never_begun() -> None:
    """Its resource fails before it."""


def test_a_run_that_fails_before_any_step_says_why(capfd: pytest.CaptureFixture[str]) -> None:
    job = dg.define_asset_job("job", selection=[never_begun])
    resources = {"unreachable": unreachable}
    defs = dg.Definitions([never_begun], jobs=[job], resources=resources, loggers={"console": console_logger})
    defs.resolve_job_def("job").execute_in_process(run_config={"loggers": {"console": {}}}, raise_on_error=False)
    said = capfd.readouterr().err.splitlines()
    assert any("failed: ConnectionError: no route to the ledger" in line for line in said)


def test_a_higher_level_leaves_the_progress_out(capfd: pytest.CaptureFixture[str]) -> None:
    lines = printed(capfd, documents, level="WARNING")
    assert len(lines) == 1
    assert "規程.md is quarantined" in lines[0]


def test_debug_shows_every_event(capfd: pytest.CaptureFixture[str]) -> None:
    lines = printed(capfd, documents, level="DEBUG")
    assert any("a detail" in line for line in lines)
    assert len(lines) > 8


def test_a_level_that_does_not_exist_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match=r"level.*LOUD"):
        printed(capfd, documents, level="LOUD")
