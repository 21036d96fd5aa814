"""Guards against a failure that is tried again at every tick, or never; and a run that two daemons start."""

from __future__ import annotations

import threading
from pathlib import Path

import dagster as dg
import pytest

from llm_assets.watching.claims import claim
from resources.platform import Platform
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
