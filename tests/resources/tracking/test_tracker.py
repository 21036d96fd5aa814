"""What a tracking server has to know may not be lost, told twice, or hold anybody up."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from resources import state_schema as schema
from resources.platform import Platform
from resources.state import State
from resources.tracking import outbox
from resources.tracking.delivery import Delivery, Where, _again_in
from resources.tracking.settings import TrackingSettings
from resources.tracking.tracker import Point, Tracker, told_where

KEY = "acme/m/1"


def items(state: State) -> list[dict[str, Any]]:
    return state.rows(sa.select(schema.tracking_outbox).order_by(schema.tracking_outbox.c.seq))


def started(state: State) -> Tracker:
    tracker = Tracker(state)
    tracker.run_started(KEY, "m 1", {"rank": 8}, {"pool": None, "tenant": "acme"}, experiment="acme/m")
    return tracker


def test_a_step_that_a_resumed_training_repeats_is_told_once(platform: Platform) -> None:
    tracker = started(platform.state)
    tracker.curve(KEY, [Point(1, {"loss": 3.0}), Point(2, {"loss": 2.0, "eval_loss": 2.5})])
    tracker.curve(KEY, [Point(2, {"loss": 2.1, "eval_loss": 2.6}), Point(3, {"loss": 1.0})])
    tracker.metrics(KEY, 3, {"loss": 1.0})
    batches = [item["content"]["values"] for item in items(platform.state) if item["kind"] == "metrics"]
    assert [[(name, value, step) for name, value, step, _ in batch] for batch in batches] == [
        [("loss", 3.0, 1), ("loss", 2.0, 2), ("eval_loss", 2.5, 2)],
        [("loss", 1.0, 3)],
    ]


def test_a_loss_that_is_no_number_is_kept_in_a_database_whose_json_has_none(platform: Platform) -> None:
    tracker = started(platform.state)
    tracker.metrics(KEY, 1, {"loss": math.nan, "norm": math.inf})
    (batch,) = [item["content"]["values"] for item in items(platform.state) if item["kind"] == "metrics"]
    assert [value for _, value, _, _ in batch] == ["nan", "inf"]


def test_many_figures_are_told_in_requests_that_mlflow_takes(platform: Platform) -> None:
    tracker = started(platform.state)
    tracker.curve(KEY, [Point(step, {"loss": 1.0, "rate": 2.0}, at=1.0) for step in range(1200)])
    sizes = [len(item["content"]["values"]) for item in items(platform.state) if item["kind"] == "metrics"]
    assert sizes == [1000, 1000, 400]


def test_an_evaluation_is_told_once_and_again_when_it_has_changed(platform: Platform) -> None:
    tracker = started(platform.state)
    assert tracker.evaluated(KEY, "a", {"accuracy": 0.5}, lambda: {"levels.png": b"png", "metrics.csv": "a"})
    assert not tracker.evaluated(KEY, "a", {"accuracy": 0.5}, lambda: {"levels.png": b"png", "metrics.csv": "a"})
    assert tracker.evaluated(KEY, "b", {"accuracy": 0.6}, dict)
    steps = [item["content"]["values"][0][2] for item in items(platform.state) if item["kind"] == "metrics"]
    assert steps == [0, 1]


def test_what_a_server_fails_on_is_put_off_longer_each_time(platform: Platform) -> None:
    started(platform.state)
    item = outbox.first(platform.state)
    assert item is not None
    outbox.refuse(platform.state, item, "502", again_in=60)
    heard = outbox.heard(platform.state, "")
    assert (heard.waiting, heard.refused, heard.put_off, outbox.put_back(platform.state)) == (0, 0, 1, 0)
    outbox.refuse(platform.state, item, "502", again_in=0)
    assert outbox.put_back(platform.state) == 1
    assert outbox.first(platform.state) == replace(item, attempts=1)
    assert [_again_in(attempts) for attempts in (2, 5, 6, 7, 99)] == [60, 60, 120, 240, 3600]


def test_a_move_of_an_alias_that_was_put_off_does_not_undo_a_later_one(platform: Platform) -> None:
    tracker = started(platform.state)
    with platform.state.write() as connection:
        for model, version in (("acme.m", "v1"), ("acme.other", "v1"), ("acme.m", "v2")):
            tracker.moved_in(connection, KEY, model, version)
    for _ in range(3):
        item = outbox.first(platform.state)
        assert item is not None
        outbox.refuse(platform.state, item, "502", again_in=0)
    item = outbox.first(platform.state)
    assert item is not None
    outbox.done(platform.state, item)
    outbox.put_back(platform.state)
    assert [entry["content"]["model"] for entry in items(platform.state) if entry["kind"] == "alias"] == [
        "acme.other"
    ]


def test_nothing_is_noted_where_tracking_is_off(platform: Platform) -> None:
    tracker = Tracker(platform.state, enabled=False)
    tracker.run_started(KEY, "m", {}, {}, experiment="acme/m")
    tracker.metrics(KEY, 1, {"loss": 1.0})
    tracker.artifact(KEY, "card/README.md", "text")
    tracker.evaluated(KEY, "a", {"accuracy": 0.5}, dict)
    with platform.state.write() as connection:
        tracker.registered_in(connection, KEY, "acme.m", "v1", {})
    assert items(platform.state) == []


def test_a_password_in_an_address_is_not_shown(tmp_path: Path, platform: Platform) -> None:
    destination = TrackingSettings(uri="http://me:hunter2@127.0.0.1:1/mlflow").destination(tmp_path)
    outbox.source(platform.state, destination.shown)
    started(platform.state)
    assert told_where(platform.state, destination).startswith("1 thing waits for http://127.0.0.1:1/mlflow")
    assert "hunter2" not in destination.shown
    told = "Invalid URL http://me:hunter2@127.0.0.1:1/mlflow/api, http://m%65:hunter2@x: me:hunter2@127.0.0.1"
    assert destination.safe(told) == "Invalid URL http://127.0.0.1:1/mlflow/api, http://x: 127.0.0.1"


@pytest.mark.parametrize("host", ["nowhere.invalid", "127.0.0.1:99999"])
def test_a_password_in_an_address_is_not_kept_with_the_reason_of_a_failure(platform: Platform, host: str) -> None:
    destination = TrackingSettings(uri=f"http://me:hunter2@{host}/mlflow").destination(platform.profile.state_dir)
    started(platform.state)
    Delivery(Where(platform.profile.url, platform.profile.state_dir / "locks", destination)).run()
    found = outbox.heard(platform.state, destination.shown)
    assert found.failure
    assert "hunter2" not in found.failure


def test_the_address_comes_from_the_profile_then_the_environment_then_a_database(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://other:5000")
    assert TrackingSettings(uri="http://mine:5000").destination(tmp_path).uri == "http://mine:5000"
    assert TrackingSettings().destination(tmp_path).uri == "http://other:5000"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert TrackingSettings().destination(tmp_path).uri == f"sqlite:///{tmp_path}/tracking/mlflow.db"
