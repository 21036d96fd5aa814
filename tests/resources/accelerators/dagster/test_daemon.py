"""Guards against a daemon that starts runs for which nothing is free, or lets them pass those whose turn it is.

Each test starts Dagster's real daemon and a real code server, and launches as the UI does, through GraphQL.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_graphql.test.utils import execute_dagster_graphql

from tests.resources.accelerators.dagster.conftest import MODULE, Home, wait_for

LAUNCH = """
mutation ($executionParams: ExecutionParams!) {
  launchPipelineExecution(executionParams: $executionParams) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}"""
BACKFILL = """
mutation ($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } }
}"""
POOLS = """
{ instance { concurrencyLimits { concurrencyKey slotCount limit
    claimedSlots { runId stepKey } pendingSteps { runId stepKey assignedTimestamp } } } }"""
TERMINATE = """
mutation ($runId: String!) { terminateRun(runId: $runId) { __typename } }"""


class Ui:
    """What the UI does, and what it shows."""

    def __init__(self, instance: dg.DagsterInstance, process: WorkspaceProcessContext) -> None:
        self.instance, self._process = instance, process

    def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        result = execute_dagster_graphql(self._process.create_request_context(), query, dict(variables or {}))
        assert not result.errors, result.errors
        return result.data

    def launch(self, job: str, tags: Mapping[str, str] | None = None) -> str:
        """Launch a job; its run's id."""
        parameters = {
            "selector": {**self._repository(), "pipelineName": job},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]},
        }
        launched = self.ask(LAUNCH, {"executionParams": parameters})["launchPipelineExecution"]
        return launched["run"]["runId"]

    def backfill(self, asset: str, partitions: Sequence[str], tags: Mapping[str, str]) -> None:
        parameters = {
            "assetSelection": [{"path": [asset]}],
            "partitionNames": list(partitions),
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        launched = self.ask(BACKFILL, {"backfillParams": parameters})["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def pool(self, name: str) -> dict[str, Any]:
        pools = self.ask(POOLS)["instance"]["concurrencyLimits"]
        return next(pool for pool in pools if pool["concurrencyKey"] == name)

    def status(self, run_id: str) -> str:
        run = self.instance.get_run_by_id(run_id)
        return run.status.value if run else "gone"

    def statuses(self, run_ids: Sequence[str]) -> list[str]:
        return [self.status(run_id) for run_id in run_ids]

    def wait_until(self, status: str, *run_ids: str) -> None:
        try:
            wait_for(lambda: self.statuses(run_ids) == [status] * len(run_ids))
        except TimeoutError:
            raise TimeoutError(f"{status} was expected: {[*run_ids]} are {self.statuses(run_ids)}") from None

    @staticmethod
    def _repository() -> dict[str, str]:
        return {"repositoryLocationName": MODULE, "repositoryName": "__repository__"}


@contextmanager
def ui_of(instance: dg.DagsterInstance) -> Iterator[Ui]:
    target = ModuleTarget(module_name=MODULE, attribute=None, working_directory=None, location_name=MODULE)
    with WorkspaceProcessContext(instance, target) as process:
        yield Ui(instance, process)


@pytest.fixture
def ui(home: Home) -> Iterator[Ui]:
    with dg.DagsterInstance.get() as instance, ui_of(instance) as ui:
        yield ui


def workers(run_ids: Sequence[str]) -> set[str]:
    """Those of the runs for which a process of this host works."""
    found: set[str] = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = file.read_bytes().decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        found |= {run_id for run_id in run_ids if run_id in text}
    return found


def test_more_runs_than_fit_stay_queued_without_a_process_and_the_page_shows_them(home: Home, ui: Ui) -> None:
    hold = home.hold()
    with home.daemon():
        gang = ui.launch("tunes__in_process")
        wait_for(home.begun)
        small = [ui.launch("adapts__in_process") for _ in range(4)]
        seen = wait_for(lambda: (pool := ui.pool("lora")) and len(pool["pendingSteps"]) == 4 and pool)
        assert {step["runId"] for step in seen["pendingSteps"]} == set(small)
        assert (seen["claimedSlots"], seen["slotCount"]) == ([], 0)
        assert [slot["runId"] for slot in ui.pool("full")["claimedSlots"]] == [gang]
        passed = time.monotonic() + 4
        wait_for(lambda: time.monotonic() > passed)  # several looks of the daemon at its queue
        assert ui.statuses(small) == ["QUEUED"] * 4
        assert not workers(small)
        free = ui.launch("free__in_process")  # what is in no pool passes
        wait_for(lambda: home.begun() == 2)
        hold.unlink()
        ui.wait_until("SUCCESS", gang, free, *small)
    assert home.leases() == []
    steps = sorted((step for step in home.done() if step["run"] in small), key=lambda step: step["begun"])
    for first, third in zip(steps, steps[2:], strict=False):  # never more than two side by side
        assert third["begun"] >= first["ended"]


def test_runs_start_in_the_ledgers_order_not_in_dagsters(home: Home, ui: Ui) -> None:
    """Dagster would take the oldest. A tenant below its share goes first, and priority counts within a tenant."""
    a, b, c = home.hold("a"), home.hold("b"), home.hold("c")
    with home.daemon():
        held = [ui.launch("adapts__in_process", {"tenant": "first", "hold": name}) for name in ("a", "b")]
        wait_for(lambda: home.begun() == 2)
        late = ui.launch("adapts__in_process", {"tenant": "first"})
        raised = ui.launch("adapts__in_process", {"tenant": "first", "accelerator/priority": "3", "hold": "c"})
        other = ui.launch("adapts__in_process", {"tenant": "second", "hold": "c"})
        wait_for(
            lambda: len([step for step in ui.pool("lora")["pendingSteps"] if not step["assignedTimestamp"]]) == 3
        )
        a.unlink()
        ui.wait_until("STARTED", other)
        b.unlink()
        ui.wait_until("STARTED", raised)
        assert ui.status(late) == "QUEUED"
        c.unlink()
        ui.wait_until("SUCCESS", *held, late, raised, other)


def test_what_can_never_run_leaves_the_queue_and_fails_with_the_reason(home: Home, ui: Ui) -> None:
    with home.daemon():
        refused = ui.launch("adapts__in_process", {"accelerator/lora/memory_gb": "much"})
        ranked = ui.launch("adapts__in_process", {"tenant": "intern", "accelerator/priority": "6"})
        beyond = ui.launch("impossible__in_process")
        ui.wait_until("FAILURE", refused, ranked, beyond)
    for run_id, reason in ((refused, "'much' is not permitted"), (ranked, "'intern', 5"), (beyond, "1000 GB")):
        messages = [entry.get_dagster_event().message or "" for entry in ui.instance.all_logs(run_id)]
        assert any(reason in message for message in messages), messages


@pytest.mark.long
def test_terminating_and_trying_again(home: Home, ui: Ui) -> None:
    hold = home.hold()
    with home.daemon():
        gang = ui.launch("tunes__in_process")
        wait_for(home.begun)
        queued = ui.launch("adapts__in_process")
        wait_for(lambda: len(ui.pool("lora")["pendingSteps"]) == 1)
        ui.ask(TERMINATE, {"runId": queued})
        wait_for(lambda: not ui.pool("lora")["pendingSteps"])
        ui.ask(TERMINATE, {"runId": gang})
        ui.wait_until("CANCELED", queued, gang)
        wait_for(lambda: not home.leases())
        hold.unlink()
        again = ui.launch("fails_once__multiprocess")
        ui.wait_until("SUCCESS", again)
    assert home.leases() == []


@pytest.mark.long
def test_a_backfill_waits_in_the_queue_partition_by_partition(home: Home, ui: Ui) -> None:
    with home.daemon():
        ui.backfill("parted", ["a", "b", "c"], {"accelerator/lora/memory_gb": "70"})
        wait_for(lambda: len(home.done()) == 3)
        wait_for(lambda: not home.leases())
    asked = {past.lease.request.memory for past in home.ledger.history(0, time.time() + 1)}
    assert asked == {70 * 10**9}


@pytest.mark.long
def test_limits_by_tag_hold_beside_pools(home: Home) -> None:
    """A tenant at its limit of runs does not keep the others' from starting."""
    limits = [{"key": "tenant", "limit": 1, "value": {"applyLimitPerUniqueValue": True}}]
    home.configure(concurrency={"runs": {"tag_concurrency_limits": limits}, "pools": {"granularity": "op"}})
    hold = home.hold()
    with dg.DagsterInstance.get() as instance, ui_of(instance) as ui, home.daemon():
        first = [ui.launch("adapts__in_process", {"tenant": "one"}) for _ in range(2)]
        second = ui.launch("adapts__in_process", {"tenant": "two"})
        wait_for(lambda: home.begun() == 2)
        assert sorted(ui.statuses([*first, second])) == ["QUEUED", "STARTED", "STARTED"]
        hold.unlink()
        ui.wait_until("SUCCESS", *first, second)


@pytest.mark.long
def test_a_killed_worker_gives_its_devices_to_the_queue(home: Home, ui: Ui) -> None:
    home.hold()
    with home.daemon():
        gang = ui.launch("tunes__in_process")
        wait_for(home.begun)
        queued = ui.launch("adapts__in_process")
        wait_for(lambda: len(ui.pool("lora")["pendingSteps"]) == 1)
        (begun,) = home.trace.glob(f"{gang}*.begun")
        os.kill(int(begun.read_text()), 9)
        (home.trace / "hold").unlink()
        ui.wait_until("SUCCESS", queued)
        ui.wait_until("FAILURE", gang)  # run monitoring


@pytest.mark.long
def test_the_same_on_postgresql(make_home: Any, postgresql: Any) -> None:
    home = make_home(postgresql.new_database())
    hold = home.hold()
    with dg.DagsterInstance.get() as instance, ui_of(instance) as ui, home.daemon():
        gang = ui.launch("tunes__multiprocess")
        wait_for(home.begun)
        small = [ui.launch("adapts__multiprocess") for _ in range(2)]
        wait_for(lambda: len(ui.pool("lora")["pendingSteps"]) == 2)
        assert ui.statuses(small) == ["QUEUED"] * 2
        hold.unlink()
        ui.wait_until("SUCCESS", gang, *small)
