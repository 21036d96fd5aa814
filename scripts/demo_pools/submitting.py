"""Submits the runs at their times, through the GraphQL interface that Dagster's UI uses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from scripts.demo_pools.location import SECONDS_TAG
from scripts.demo_pools.plan import Arrival
from scripts.demo_pools.processes import DemoError

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
  }
}
"""


class Submitter:
    """Launches jobs of the demo's code location in one instance."""

    def __init__(self, workspace: Any) -> None:
        from dagster_graphql.schema import create_schema

        self._workspace = workspace
        self._schema = create_schema()

    def launch(self, job: str, tags: Mapping[str, str]) -> str:
        """Submit one run; returns its id."""
        selector = {
            "repositoryLocationName": "demo-pools",
            "repositoryName": "__repository__",
            "jobName": job,
        }
        params = {
            "selector": selector,
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        context = self._workspace.create_request_context()
        query = self._schema.execute_async(LAUNCH, context_value=context, variable_values={"params": params})
        result = asyncio.run(query)
        if result.errors or "run" not in result.data["launchRun"]:
            raise DemoError(f"job '{job}' could not be launched: {result.errors or result.data['launchRun']}")
        return result.data["launchRun"]["run"]["runId"]

    def launch_all(self, arrivals: Sequence[Arrival], started: float) -> dict[str, Arrival]:
        """Submit each run when its time has come; run id to arrival."""
        runs: dict[str, Arrival] = {}
        for arrival in arrivals:
            time.sleep(max(0.0, started + arrival.at - time.time()))
            kind = arrival.kind
            tags = {SECONDS_TAG: f"{kind.seconds:g}", "dagster/priority": str(kind.priority)}
            runs[self.launch(kind.job, tags)] = arrival
        return runs


@contextmanager
def submitter(instance: dg.DagsterInstance, folder: Path) -> Iterator[Submitter]:
    """A submitter for the code server that the folder's workspace.yaml names."""
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget

    target = WorkspaceFileTarget(paths=[str(folder / "workspace.yaml")])
    with WorkspaceProcessContext(instance, target) as workspace:
        yield Submitter(workspace)
