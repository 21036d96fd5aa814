"""One set-up from an empty home to its figures."""

from __future__ import annotations

import base64
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from llm_assets.accelerators_assets import KEY
from scripts.demo_pools.location import PICTURE_JOB, WARM_UP_JOB
from scripts.demo_pools.measuring import Ran, ran
from scripts.demo_pools.plan import Arrival
from scripts.demo_pools.processes import DemoError, running, until
from scripts.demo_pools.setups import Setup, environment, limits, make_home
from scripts.demo_pools.submitting import Submitter, submitter

END_SECONDS = 150  # all runs of a set-up have ended by then, or something is broken
UNFINISHED = [status for status in dg.DagsterRunStatus if status.value not in ("SUCCESS", "FAILURE", "CANCELED")]


@dataclass(frozen=True, slots=True)
class Result:
    """What one set-up did.

    Attributes:
        setup: which.
        runs: each run.
        span: seconds until the last one ended.
        picture: the Gantt chart, as its asset shows it; None where there is no ledger.
    """

    setup: Setup
    runs: Sequence[Ran]
    span: float
    picture: bytes | None


def run_setup(setup: Setup, folder: Path, arrivals: Sequence[Arrival]) -> Result:
    """Launch the runs through the real daemon, and wait until all have ended.

    Raises:
        DemoError: a process ended, or a run failed or did not end.
    """
    with tempfile.TemporaryDirectory() as sockets:  # the path of a socket must be short
        socket = Path(sockets) / "code"
        make_home(setup, folder, socket)
        with _environment(environment(setup, folder)), dg.DagsterInstance.get() as instance:
            for pool, limit in limits(setup).items():
                instance.event_log_storage.set_concurrency_slots(pool, limit)
            if setup.leases:
                _register()
            with running(folder, socket, os.environ), submitter(instance, folder) as submit:
                return _result(setup, folder, instance, submit, arrivals)


def _register() -> None:
    from resources.accelerators.inventory import register_this_host
    from resources.accelerators.ledger.ledger import open_ledger

    ledger = open_ledger()
    register_this_host(ledger, ledger.accelerators)


def _result(
    setup: Setup, folder: Path, instance: dg.DagsterInstance, submit: Submitter, arrivals: Sequence[Arrival]
) -> Result:
    submit.launch(WARM_UP_JOB, {})
    _all_ended(instance, folder)
    started = time.time()
    runs = submit.launch_all(arrivals, started)
    _all_ended(instance, folder)
    found = ran(instance, runs, started)
    if len(found) < len(arrivals):
        raise DemoError(f"{len(arrivals) - len(found)} runs failed; DAGSTER_HOME={folder} dagster dev shows them")
    picture = _picture(instance, folder, submit) if setup.leases else None
    return Result(setup, found, max(run.ended for run in found), picture)


def _all_ended(instance: dg.DagsterInstance, folder: Path) -> None:
    unfinished = dg.RunsFilter(statuses=UNFINISHED)
    until(
        lambda: instance.get_runs_count(unfinished) == 0,
        lambda: None,
        END_SECONDS,
        f"runs have not ended after {END_SECONDS} s; logs: {folder / 'processes.log'}",
    )


def _picture(instance: dg.DagsterInstance, folder: Path, submit: Submitter) -> bytes:
    """Materialise the asset `accelerators` by a run, and take the picture out of its metadata."""
    submit.launch(PICTURE_JOB, {})
    _all_ended(instance, folder)
    event = instance.get_latest_materialization_event(KEY)
    if event is None or event.asset_materialization is None:
        raise DemoError(f"the asset {KEY.to_user_string()} was not materialised; logs: {folder / 'processes.log'}")
    chart = str(event.asset_materialization.metadata["chart"].value)
    match = re.search(r"base64,([^)]+)\)", chart)
    if match is None:
        raise DemoError(f"the asset {KEY.to_user_string()} has no picture: {chart[:80]}")
    return base64.b64decode(match[1])


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """This process submits the runs: Dagster's instance and the ledger are found by the environment here as well."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
