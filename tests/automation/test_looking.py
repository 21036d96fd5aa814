"""Guards against lost runs, doubled runs, and runs from a half-copied or vanished folder."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from llm_assets.watching import cursor, looking, progress
from llm_assets.watching.claims import claim
from llm_assets.watching.cursor import Seen
from llm_assets.watching.listings import Listings
from llm_assets.watching.looking import Found, Look
from llm_assets.watching.watched import Stage, Watched, of_models
from resources.platform import Platform
from resources.sources import SourceError, SourceFile, open_source
from tests.polling import until

JOB = "ingest_acme_handbook"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    (made / "a.txt").write_text("first")
    return made


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

    def end(self, status: dg.DagsterRunStatus, *, made: bool = False) -> None:
        """The newest run ends; `made`: as it should, with what it has read noted."""
        run = self.instance.get_runs(limit=1)[0]
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


@pytest.fixture
def sensor(instance: dg.DagsterInstance, platform: Platform, folder: Path) -> Sensor:
    return Sensor(instance, platform, watched_folder(folder))


def test_new_changed_and_deleted_files_are_one_run_each_and_nothing_more_is(sensor: Sensor, folder: Path) -> None:
    changes: Sequence[Callable[[], object]] = (
        lambda: None,  # what is there at the first look
        lambda: (folder / "b.txt").write_text("second"),
        lambda: (folder / "a.txt").write_text("changed"),
        lambda: (folder / "b.txt").unlink(),
    )
    for change in changes:
        change()
        assert len(sensor.tick().requests) == 1
        assert not sensor.tick().requests  # it is under way
        sensor.end(dg.DagsterRunStatus.SUCCESS, made=True)
        assert not sensor.tick().requests
        assert not sensor.tick().reasons


def test_ten_thousand_new_files_are_one_run(sensor: Sensor, folder: Path) -> None:
    for number in range(10_000):
        (folder / f"{number}.txt").write_text("x")
    found, deadline = sensor.tick(), time.monotonic() + 60
    while not found.requests and time.monotonic() < deadline:  # a listing goes on between two ticks
        found = sensor.tick()
    assert len(found.requests) == 1
    assert found.seen["acme/handbook"].files == 10_001
    assert len(sensor.cursor) < 500


def test_files_that_are_still_arriving_are_waited_for_and_not_longer_than_a_minute(
    sensor: Sensor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow() -> None:
        with (folder / "growing.txt").open("a") as file:
            file.write("more")

    for _ in range(2):
        grow()
        assert "still arriving" in sensor.tick(grow).reasons[0]
    grow()
    monkeypatch.setattr(looking, "LONGEST_SECONDS", 0.0)
    assert len(sensor.tick(grow).requests) == 1


def test_files_that_arrive_after_a_long_run_are_waited_for_as_before(
    sensor: Sensor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow() -> None:
        with (folder / "growing.txt").open("a") as file:
            file.write("more")

    monkeypatch.setattr(looking, "LONGEST_SECONDS", 2.0)
    sensor.tick()
    sensor.tick()  # it is under way
    time.sleep(2.1)  # longer than what changes without end is waited for
    sensor.end(dg.DagsterRunStatus.SUCCESS, made=True)
    grow()
    assert "still arriving" in sensor.tick(grow).reasons[0]


def test_a_source_whose_listing_outlasts_every_tick_is_run(
    instance: dg.DagsterInstance, platform: Platform, folder: Path
) -> None:
    files = watched_folder(folder).list()

    def slow() -> Sequence[SourceFile]:
        time.sleep(0.15)
        return files

    sensor = Sensor(instance, platform, watched_folder(folder, list=slow))
    sensor.listings = Listings(wait_seconds=0.05)
    found = until(lambda: sensor.tick().requests, "the run", seconds=20)
    assert [request.tags[progress.SOURCE_TAG] for request in found] == ["acme/handbook"]


def test_files_that_have_not_changed_since_the_last_tick_have_settled(sensor: Sensor, folder: Path) -> None:
    def grow() -> None:
        (folder / "growing.txt").write_text("more")

    assert not sensor.tick(grow).requests
    assert len(sensor.tick(grow).requests) == 1


def test_a_file_that_changes_while_a_run_is_under_way_is_the_next_run(sensor: Sensor, folder: Path) -> None:
    sensor.tick()
    (folder / "a.txt").write_text("changed meanwhile")
    assert "is under way" in sensor.tick().reasons[0]
    sensor.end(dg.DagsterRunStatus.SUCCESS)
    assert len(sensor.tick().requests) == 1


def test_files_that_become_again_what_they_were_are_run_again(sensor: Sensor, folder: Path) -> None:
    keys = []
    for text in ("one", "another", "one"):
        (folder / "a.txt").write_text(text)
        _set_time(folder / "a.txt", len(text))
        keys.append(sensor.tick().requests[0].run_key)
        sensor.end(dg.DagsterRunStatus.SUCCESS, made=True)
        sensor.tick()
    assert len(set(keys)) == 3


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 0}', '{"version": 1, "sources": {"acme/handbook": 3}}'])
def test_a_damaged_or_older_cursor_starts_over_without_a_second_run(sensor: Sensor, text: str) -> None:
    sensor.tick()
    sensor.cursor = text
    assert not sensor.tick().requests
    sensor.end(dg.DagsterRunStatus.SUCCESS, made=True)
    sensor.cursor = text
    assert not sensor.tick().requests


def test_what_somebody_has_run_by_hand_is_not_run_again(sensor: Sensor) -> None:
    sensor.make()
    assert not sensor.tick().requests


def test_other_settings_are_a_change_as_well(sensor: Sensor) -> None:
    sensor.make()
    sensor.tick()
    source = sensor.sources[0]
    sensor.sources = (replace(source, stages=(replace(source.stages[0], code_version="2"),)),)
    assert len(sensor.tick().requests) == 1


def test_a_failed_run_is_tried_again_later_and_one_that_was_cancelled_is_not(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor.tick()
    sensor.end(dg.DagsterRunStatus.FAILURE)
    assert "tried again at" in sensor.tick().reasons[0]
    monkeypatch.setattr("llm_assets.watching.deciding.TRY_AGAIN", (0.0, 3600.0))
    assert len(sensor.tick().requests) == 1
    sensor.end(dg.DagsterRunStatus.CANCELED)
    assert "was cancelled" in sensor.tick().reasons[0]


def test_of_daemons_that_look_at_once_one_starts_the_run(
    instance: dg.DagsterInstance, platform: Platform, folder: Path
) -> None:
    daemons = [Sensor(instance, Platform(platform.profile), watched_folder(folder)) for _ in range(4)]
    requests: list[dg.RunRequest] = []
    threads = [
        threading.Thread(target=lambda one=one: requests.extend(one.tick(launch=False).requests)) for one in daemons
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(requests) == 1


def test_a_claim_of_a_daemon_that_died_is_taken_over(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    assert claim(platform.state, "key")
    assert not claim(platform.state, "key")
    monkeypatch.setattr("llm_assets.watching.claims.CLAIM_SECONDS", 0.0)
    assert claim(platform.state, "key")


def test_a_source_that_vanishes_is_told_once_and_again_when_it_is_back(sensor: Sensor, folder: Path) -> None:
    sensor.make()
    sensor.tick()
    folder.rename(folder.with_name("elsewhere"))
    found = [sensor.tick() for _ in range(5)]
    assert all(
        "acme/handbook: source 'documents'" in one.reasons[0] and "does not exist" in one.reasons[0] for one in found
    )
    assert not any(one.requests for one in found)
    assert [len(one.alerts) for one in found] == [0, 0, 1, 0, 0]
    assert [event.passed for one in found for event in one.events] == [False]  # pyright: ignore[reportAttributeAccessIssue]
    folder.with_name("elsewhere").rename(folder)
    back = sensor.tick()
    assert [event.passed for event in back.events] == [True]  # pyright: ignore[reportAttributeAccessIssue]
    assert not back.requests


def test_a_source_that_is_suddenly_empty_deletes_nothing(sensor: Sensor, folder: Path) -> None:
    sensor.make()
    sensor.tick()
    (folder / "a.txt").unlink()
    found = sensor.tick()
    assert "lists no file" in found.reasons[0]
    assert not found.requests


def test_an_empty_source_that_may_be_empty_is_run(
    instance: dg.DagsterInstance, platform: Platform, folder: Path
) -> None:
    sensor = Sensor(instance, platform, watched_folder(folder, may_be_empty=True))
    (folder / "a.txt").unlink()
    assert len(sensor.tick().requests) == 1


def test_a_source_that_fails_or_hangs_keeps_no_other_from_its_run(
    instance: dg.DagsterInstance, platform: Platform, folder: Path
) -> None:
    hang = threading.Event()

    def hanging() -> list[SourceFile]:
        hang.wait()
        return []

    def broken() -> list[SourceFile]:
        raise RuntimeError("a driver's own error")

    def refused() -> list[SourceFile]:
        raise SourceError("source 's3://x' cannot be listed: AccessDenied")

    bad = [
        watched_folder(folder, name, list=what) for name, what in zip("abc", (hanging, broken, refused), strict=True)
    ]
    sensor = Sensor(instance, platform, *bad, watched_folder(folder))
    sensor.listings = Listings(wait_seconds=0.5)
    found = sensor.tick()
    assert [request.tags[progress.SOURCE_TAG] for request in found.requests] == ["acme/handbook"]
    said = "; ".join(found.reasons)
    assert "acme/a: has been listed for" in said
    assert "a driver's own error" in said
    assert "AccessDenied" in said
    assert sum(thread.name == "listing acme/a" for thread in threading.enumerate()) == 1
    sensor.tick()
    assert sum(thread.name == "listing acme/a" for thread in threading.enumerate()) == 1
    hang.set()


@pytest.mark.parametrize("asset", ["examples", "inputs"])
def test_a_changed_file_of_a_model_is_observed_once_and_starts_no_run(
    instance: dg.DagsterInstance, platform: Platform, tmp_path: Path, asset: str
) -> None:
    attributes = {
        "name": "kind",
        "data": {"examples": {"path": "examples.jsonl"}},
        "answers": {"inputs": {"path": "inputs.jsonl"}, "prompt": "{text}"},
    }
    files = {name: tmp_path / f"{name}.jsonl" for name in ("examples", "inputs")}
    for file in files.values():
        file.write_text("{}\n")
    sensor = Sensor(instance, platform, *of_models([FineTuneSpec("acme", tmp_path, _settings(attributes))]))
    events = sensor.tick().events
    assert {event.asset_key.path[-1] for event in events} == set(files)
    for event in events:
        instance.report_runless_asset_event(event)
    _set_time(files[asset], 5)  # touched: the same content
    assert not sensor.tick().events
    files[asset].write_text("{}\n{}\n")
    found = sensor.tick()
    assert [event.asset_key for event in found.events] == [dg.AssetKey(["acme", "kind", asset])]
    assert not found.requests


def test_a_manual_model_is_not_watched(tmp_path: Path) -> None:
    settings = _settings({"name": "kind", "automation": "manual", "data": {"examples": {"path": "examples.jsonl"}}})
    assert not list(of_models([FineTuneSpec("acme", tmp_path, settings)]))


def _settings(attributes: dict[str, Any]) -> FineTuneSettings:
    return FineTuneSettings.model_validate(attributes)


def test_the_cursor_goes_through_text_and_holds_no_name_of_a_file() -> None:
    seen = {"acme/handbook": Seen("v", 10_000, 1.5, "w", 2)}
    assert cursor.loads(cursor.dumps(seen)) == seen
    assert json.loads(cursor.dumps(seen))["version"] == cursor.VERSION


def _set_time(file: Path, seconds: int) -> None:
    os.utime(file, (seconds, seconds))


def test_a_folder_that_is_replaced_by_another_is_run(sensor: Sensor, folder: Path) -> None:
    sensor.make()
    sensor.tick()
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "z.txt").write_text("other")
    assert len(sensor.tick().requests) == 1
