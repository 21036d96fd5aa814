"""A step whose executor claimed for it must use that lease: a second one would wait for the first for ever."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from resources.accelerators.ledger.liveness import alive, this_host
from resources.accelerators.requests import Request, Waiting
from resources.accelerators.units import GB
from tests.resources.accelerators.dagster.conftest import Home, make_home
from tests.resources.accelerators.step.assets import EXECUTORS, FOLDER_TAG
from tests.resources.accelerators.step.conftest import SETTINGS, until

__all__ = ["make_home"]

MODULE = "tests.resources.accelerators.step.assets"
RUN_SECONDS = 180  # a deadline: beside other work a process of Dagster may take a minute to start
URGENT = Waiting("urgent", "step", Request("urgent", 60 * GB, priority=5, launcher=this_host()), 0.0, "claiming")
WAITING = Waiting("next", "step", Request("whole", 60 * GB, launcher=this_host()), 0.0, "claiming")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_step_uses_the_lease_of_its_executor_makes_way_and_finishes_later(
    make_home: Callable[..., Home], tmp_path: Path, executor: str
) -> None:
    home, folder = make_home(**SETTINGS), tmp_path / "work"
    tags = json.dumps({FOLDER_TAG: str(folder), "seconds": "600"})
    run = home.start("dagster", "job", "execute", "-m", MODULE, "-j", executor, "--tags", tags)
    until((folder / "works").exists, RUN_SECONDS)
    (lease,) = home.leases("whole")
    assert len(lease.holders) >= 2, "neither the step nor its training holds the lease"
    until(lambda: home.ledger.claim(URGENT))
    assert (folder / "checkpoint").exists()
    home.ledger.release(URGENT.run_id)
    assert run.wait(RUN_SECONDS) == 0, home.output()
    with dg.DagsterInstance.get() as instance:
        (record,) = instance.fetch_materializations(dg.AssetKey(["trained"]), limit=5).records
    assert record.asset_materialization
    assert record.asset_materialization.metadata["pool"].value == "whole"
    until(lambda: not home.leases())
    assert not home.ledger.view().waiting


def test_a_step_that_claimed_for_itself_ends_with_its_runs_worker(
    make_home: Callable[..., Home], tmp_path: Path
) -> None:
    home, folder = make_home(**SETTINGS), tmp_path / "work"
    (home.folder / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
    )  # Dagster's own storage: no pools of ours
    tags = json.dumps({FOLDER_TAG: str(folder), "seconds": "600"})
    worker = home.start("dagster", "job", "execute", "-m", MODULE, "-j", "multiprocess", "--tags", tags)
    until((folder / "works").exists, RUN_SECONDS)
    (lease,) = home.leases("whole")
    assert lease.holders[0].pid != worker.pid, "the worker claimed: this test would prove nothing"
    worker.kill()
    worker.wait()
    until(lambda: home.ledger.claim(WAITING), 15)
    step, *work = lease.holders
    assert not any(alive(holder) for holder in work)
    until(lambda: not alive(step), 5)  # it gives the device back first, and ends then
