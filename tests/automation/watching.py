"""The sensor of source files without a daemon: over a real folder, and runs that end as they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
from dagster._core.test_utils import create_run_for_test

from llm_assets.failures import Kind
from llm_assets.watching import cursor
from llm_assets.watching.listings import Listings
from llm_assets.watching.looking import Found, Look
from llm_assets.watching.watched import Stage, Watched
from resources.platform import Platform
from resources.sources import open_source
from resources.state_schema import finished_runs

JOB = "ingest_acme_handbook"


class Sensor:
    """Looks as the sensor does: the cursor goes through text, and a requested run becomes a run of Dagster."""

    def __init__(self, instance: dg.DagsterInstance, platform: Platform, *sources: Watched) -> None:
        self.instance, self.platform, self.sources = instance, platform, sources
        self.cursor = ""
        self.listings = Listings(wait_seconds=10.0)

    def tick(self, settle: Callable[[], object] = lambda: None, *, launch: bool = True) -> Found:
        look = Look(self.instance, self.platform, self.listings, settle)
        found = look.at(self.sources, cursor.loads(self.cursor))
        self.cursor = cursor.dumps(found.seen)
        for request in found.requests if launch else ():
            tags = {**request.tags, "dagster/run_key": request.run_key or ""}
            create_run_for_test(self.instance, job_name=JOB, tags=tags, status=dg.DagsterRunStatus.STARTED)
        return found

    def end(self, status: dg.DagsterRunStatus, *, made: bool = False, kind: Kind | None = None) -> None:
        """The newest run ends; `made`: as it should, with what it has read noted. `kind`: of its failure."""
        run = self.instance.get_runs(limit=1)[0]
        if kind:
            noted = {"run_id": run.run_id, "kind": kind.value, "retry_at": None, "retried_as": None, "seen_at": 0.0}
            self.platform.state.put(finished_runs, [noted])
        if made:
            self.make()
        events = {
            dg.DagsterRunStatus.FAILURE: self.instance.report_run_failed,
            dg.DagsterRunStatus.CANCELED: self.instance.report_run_canceled,
        }
        if status is dg.DagsterRunStatus.SUCCESS:
            event = dg.DagsterEvent(event_type_value="PIPELINE_SUCCESS", job_name=JOB)
            self.instance.report_dagster_event(event, run.run_id)
        else:
            events[status](run)

    def make(self) -> None:
        """The documents are read: their materialisation names the version of the files."""
        from llm_assets.corpora.documents import source_version

        source = self.sources[0]
        tags = {
            "dagster/input_data_version/" + source.key.to_user_string(): source_version(list(source.list())),
            "dagster/code_version": "1",
        }
        self.instance.report_runless_asset_event(dg.AssetMaterialization(source.stages[0].key, tags=tags))


def watched_folder(folder: Path, name: str = "handbook", **changes: object) -> Watched:
    source = open_source(folder.name, base=folder.parent)
    key = dg.AssetKey(["acme", name, "source_files"])
    stage = Stage(dg.AssetKey(["acme", name, "documents"]), (key,), "1")
    made = Watched(f"acme/{name}", key, folder.name, source.list, may_be_empty=False, job=JOB, stages=(stage,))
    return replace(made, **changes)
