"""Guards against a model that does not follow its files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from llm_assets.corpora.documents import source_version
from llm_assets.models.assets import fine_tune_definitions
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from llm_assets.watching import progress
from llm_assets.watching.watched import of_models
from resources.accelerators.resource import ACCELERATOR_KEY, AcceleratorResource
from resources.dagster_platform import PLATFORM_KEY
from resources.platform import Platform
from tests.automation.watching import Sensor
from tests.models.test_assets import PlatformAt


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


@pytest.mark.parametrize("name", ["./set", "./set/a[1].jsonl"])
def test_a_changed_local_data_set_is_observed_once_and_starts_no_run(
    instance: dg.DagsterInstance, platform: Platform, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "set" / "a[1].jsonl"
    file.parent.mkdir()
    file.write_text("{}\n")
    sensor = Sensor(instance, platform, *of_models([_spec(tmp_path, {"name": name})]))
    for change in (lambda: None, lambda: file.write_text("{}\n{}\n")):
        change()
        found = sensor.tick()
        assert [event.asset_key for event in found.events] == [dg.AssetKey(["acme", "kind", "dataset"])]
        assert not found.requests
        for event in found.events:
            instance.report_runless_asset_event(event)
        assert not sensor.tick().events


def test_a_data_set_on_a_hub_has_a_revision_and_is_not_watched(tmp_path: Path) -> None:
    assert not list(of_models([_spec(tmp_path, {"name": "org/set", "revision": "v1"})]))


def test_a_training_set_is_made_of_the_files_of_its_data_set(
    instance: dg.DagsterInstance, platform: Platform, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    rows = [{"prompt": f"What is {number} and {number}?", "completion": str(2 * number)} for number in range(20)]
    (tmp_path / "set" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = _spec(tmp_path, {"name": "./set"})
    key = dg.AssetKey(["acme", "kind", "training_set"])
    assets = [*(fine_tune_definitions(spec).assets or ())]
    resources = {
        PLATFORM_KEY: PlatformAt(state_dir=str(platform.profile.state_dir)),
        ACCELERATOR_KEY: AcceleratorResource(),
    }
    assert dg.materialize(assets, selection=[key], instance=instance, resources=resources).success  # pyright: ignore[reportArgumentType]
    [watched] = of_models([spec])
    version = source_version(list(watched.list()))
    assert progress.observed(instance, watched.key) == version
    event = instance.get_latest_materialization_event(key)
    assert event
    assert event.asset_materialization
    tags = event.asset_materialization.tags or {}
    assert tags[f"dagster/input_data_version/{watched.key.to_user_string()}"] == version
    assert not Sensor(instance, platform, watched).tick().events, "what was read is known"


def _spec(folder: Path, dataset: dict[str, Any]) -> FineTuneSpec:
    return FineTuneSpec("acme", folder, _settings({"name": "kind", "data": {"dataset": dataset}}))


def test_a_manual_model_is_not_watched(tmp_path: Path) -> None:
    settings = _settings({"name": "kind", "automation": "manual", "data": {"examples": {"path": "examples.jsonl"}}})
    assert not list(of_models([FineTuneSpec("acme", tmp_path, settings)]))


def _settings(attributes: dict[str, Any]) -> FineTuneSettings:
    return FineTuneSettings.model_validate(attributes)


def _set_time(file: Path, seconds: int) -> None:
    os.utime(file, (seconds, seconds))
