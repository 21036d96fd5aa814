"""A step whose executor claimed for it must use that lease: a second one would wait for the first for ever."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from resources.accelerators.ledger.liveness import this_host
from resources.accelerators.requests import Request, Waiting
from resources.accelerators.units import GB
from tests.resources.accelerators.dagster.conftest import Home, make_home
from tests.resources.accelerators.step.assets import EXECUTORS, FOLDER_TAG
from tests.resources.accelerators.step.conftest import SETTINGS, until

__all__ = ["make_home"]

MODULE = "tests.resources.accelerators.step.assets"
URGENT = Waiting("urgent", "step", Request("urgent", 60 * GB, priority=5, launcher=this_host()), 0.0, "claiming")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_step_uses_the_lease_of_its_executor_makes_way_and_finishes_later(
    make_home: Callable[..., Home], tmp_path: Path, executor: str
) -> None:
    home, folder = make_home(**SETTINGS), tmp_path / "work"
    tags = json.dumps({FOLDER_TAG: str(folder), "seconds": "600"})
    run = home.start("dagster", "job", "execute", "-m", MODULE, "-j", executor, "--tags", tags)
    until((folder / "works").exists, 60)
    (lease,) = home.leases("whole")
    assert len(lease.holders) >= 2, "neither the step nor its training holds the lease"
    until(lambda: home.ledger.claim(URGENT))
    assert (folder / "checkpoint").exists()
    home.ledger.release(URGENT.run_id)
    assert run.wait(60) == 0, home.output()
    with dg.DagsterInstance.get() as instance:
        (record,) = instance.fetch_materializations(dg.AssetKey(["trained"]), limit=5).records
    assert record.asset_materialization
    assert record.asset_materialization.metadata["pool"].value == "whole"
    until(lambda: not home.leases())
    assert not home.ledger.view().waiting
