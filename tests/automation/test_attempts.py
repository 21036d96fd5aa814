"""Guards against a failure that is tried again at every tick, or never; and a run that two daemons start."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from llm_assets.failures import Kind
from llm_assets.watching.claims import claim
from llm_assets.watching.deciding import Attempt, Fate, Run, decide
from resources.platform import Platform
from resources.state_schema import documents
from tests.automation.watching import Sensor, watched_folder


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


@pytest.mark.parametrize(
    ("kind", "waits"), [(Kind.SERVICE_DOWN, True), (Kind.NO_SPACE, True), (Kind.BAD_INPUT, False)]
)
def test_changed_files_wait_for_the_end_of_an_outage_and_are_run_at_once_after_a_bad_input(
    sensor: Sensor, folder: Path, kind: Kind, waits: bool
) -> None:
    sensor.tick()
    sensor.end(dg.DagsterRunStatus.FAILURE, kind=kind)
    (folder / "b.txt").write_text("arrives meanwhile")
    found = sensor.tick()
    assert bool(found.requests) is not waits
    assert ("tried again at" in "".join(found.reasons)) is waits


def test_an_outage_is_seen_before_the_sensor_of_failed_runs_has_looked(sensor: Sensor, folder: Path) -> None:
    sensor.tick()
    sensor.instance.report_run_failed(sensor.instance.get_runs(limit=1)[0], "http://x: connection refused")
    (folder / "b.txt").write_text("arrives meanwhile")
    assert "tried again at" in sensor.tick().reasons[0]


def test_pauses_grow_over_the_versions_of_an_outage_to_an_hour_and_retries_do_not_count() -> None:
    def pause(*attempts: Attempt, version: str = "new") -> float:
        """Seconds after the newest attempt, to the minute."""
        ended = attempts[0].ended
        return next(s for s in range(0, 100_000, 60) if isinstance(decide("a/b", version, attempts, ended + s), Run))

    down = Attempt("r", "1", Fate.FAILED, 1e9, outage=True)
    other, again = replace(down, version="2"), replace(down, retry=True)
    assert pause(down) == 600
    assert pause(again, again, again, down) == 600
    assert pause(other, down) == 3600
    assert pause(other, *[down] * 5, version="2") == 3600
    assert pause(down, Attempt("r", "0", Fate.SUCCEEDED, 1e9), down) == 600
    assert pause(replace(down, outage=False)) == 0
    assert pause(*[replace(down, outage=False)] * 5, version="1") == 86_400


def test_files_that_could_not_be_read_are_tried_again_with_growing_pauses(
    sensor: Sensor, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor.make()
    row = dict.fromkeys(column.name for column in documents.columns) | {
        **{"tenant": "acme", "corpus": "handbook", "doc_id": "1", "uri": "documents/a.txt", "size": 1, "stamp": "1"},
        **{"parser": "1", "status": "quarantined", "code": "unreadable", "elements": 0, "updated_at": time.time()},
    }
    platform.state.put(documents, [row])
    found = sensor.tick()
    assert not found.requests, "a run has just tried it"
    assert "files that could not be read, and are tried again: 1" in found.reasons[0]
    platform.state.put(documents, [row | {"updated_at": time.time() - 601}])
    assert len(sensor.tick().requests) == 1
    sensor.end(dg.DagsterRunStatus.SUCCESS, made=True)
    assert "succeeded; tried again at" in "".join(sensor.tick().reasons)
    monkeypatch.setattr("llm_assets.watching.deciding.TRY_AGAIN", (0.0, 3600.0))
    assert len(sensor.tick().requests) == 1
    sensor.end(dg.DagsterRunStatus.SUCCESS, made=True)
    assert not sensor.tick().requests
    platform.state.put(documents, [row | {"code": "corrupt"}])
    assert not sensor.tick().reasons


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


def test_a_claim_of_a_daemon_that_died_is_taken_over(platform: Platform) -> None:
    assert claim(platform.state, "key")
    assert not claim(platform.state, "key")
    assert claim(platform.state, "key", seconds=0.0)
