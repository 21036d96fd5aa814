"""Guards against a source that fails, hangs or is slow, and is never run, never told of, or taken for empty."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest

from llm_assets.watching import listings, progress
from llm_assets.watching.listings import Listings
from llm_assets.watching.looking import Found
from resources.platform import Platform
from resources.sources import SourceError, SourceFile
from tests.automation.watching import Sensor, watched_folder
from tests.polling import until


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
    assert "source 'documents' cannot be listed: RuntimeError" in said
    assert "a driver's own error" not in said, "it may hold a secret"
    assert "AccessDenied" in said
    assert sum(thread.name == "listing acme/a" for thread in threading.enumerate()) == 1
    sensor.tick()
    assert sum(thread.name == "listing acme/a" for thread in threading.enumerate()) == 1
    hang.set()


def test_a_source_that_hangs_is_told_and_is_listed_again_by_a_bounded_number_of_threads(
    instance: dg.DagsterInstance, platform: Platform, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back, files = threading.Event(), watched_folder(folder).list()

    def list_files() -> Sequence[SourceFile]:
        back.wait()
        return files

    def threads() -> int:
        return sum(thread.name == "listing acme/handbook" for thread in threading.enumerate())

    monkeypatch.setattr(listings, "HANGING_SECONDS", 0.1)
    sensor = Sensor(instance, platform, watched_folder(folder, list=list_files))
    sensor.listings = Listings(wait_seconds=0.05)
    found: list[Found] = []
    until(lambda: found.append(sensor.tick()) or found[-1].alerts, "the alert", seconds=20)
    assert "its listing has not ended for" in found[-1].alerts[0].what
    assert [event.passed for one in found for event in one.events] == [False]  # pyright: ignore[reportAttributeAccessIssue]
    until(lambda: sensor.tick() and threads() == listings.MOST_HANGING, "listed anew", seconds=20)
    for _ in range(10):
        time.sleep(0.05)
        assert "its listing has not ended for" in sensor.tick().reasons[0]
        assert threads() <= listings.MOST_HANGING
    back.set()
    until(lambda: sensor.tick().requests, "the run", seconds=20)


def test_a_source_that_hung_once_is_listed_without_a_restart(
    instance: dg.DagsterInstance, platform: Platform, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang, files, asked = threading.Event(), watched_folder(folder).list(), []

    def list_files() -> Sequence[SourceFile]:
        asked.append(1)
        if len(asked) == 1:
            hang.wait()
        return files

    monkeypatch.setattr(listings, "HANGING_SECONDS", 0.1)
    sensor = Sensor(instance, platform, watched_folder(folder, list=list_files))
    sensor.listings = Listings(wait_seconds=0.05)
    until(lambda: sensor.tick().requests, "the run", seconds=20)
    hang.set()
