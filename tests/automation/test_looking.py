"""Guards against lost runs, doubled runs, and runs from a half-copied or vanished folder."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from llm_assets.watching import cursor, looking
from llm_assets.watching.cursor import Seen
from tests.automation.watching import Sensor


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


def test_the_cursor_goes_through_text_and_holds_no_name_of_a_file() -> None:
    seen = {"acme/handbook": Seen("v", 10_000, 1.5, "w", 2)}
    assert cursor.loads(cursor.dumps(seen)) == seen
    assert json.loads(cursor.dumps(seen))["version"] == cursor.VERSION


def test_a_folder_that_is_replaced_by_another_is_run(sensor: Sensor, folder: Path) -> None:
    sensor.make()
    sensor.tick()
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "z.txt").write_text("other")
    assert len(sensor.tick().requests) == 1


def _set_time(file: Path, seconds: int) -> None:
    os.utime(file, (seconds, seconds))
