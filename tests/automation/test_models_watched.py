"""Guards against a model that does not follow its files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from llm_assets.watching.watched import of_models
from resources.platform import Platform
from tests.automation.watching import Sensor


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


def _set_time(file: Path, seconds: int) -> None:
    os.utime(file, (seconds, seconds))
