"""One lineage from examples to a promoted model; a second run must find everything done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from llm_assets.models import evaluation, pipes, promotion
from llm_assets.models.assets import fine_tune_definitions
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from llm_assets.training import requirements
from resources.accelerators.configuration import LEDGER_VARIABLE
from resources.accelerators.resource import ACCELERATOR_KEY, AcceleratorResource
from resources.dagster_platform import PLATFORM_KEY, PlatformResource
from resources.platform import Platform
from resources.profile import Profile
from resources.tracking import relay
from tests.models.real_model import tiny_fine_tune

OBSERVATION = dg.DagsterEventType.ASSET_OBSERVATION
STAGES = ("training_set", "tuned_model", "evaluation", "promoted_model")


class PlatformAt(PlatformResource):
    """The platform of a folder, instead of a target's."""

    target: str = "test"
    state_dir: str

    def open(self) -> Platform:
        return Platform(Profile(state_dir=Path(self.state_dir)))


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEDGER_VARIABLE, f"sqlite:///{tmp_path / 'ledger.db'}")


def materialise(
    spec: FineTuneSpec, platform: Platform, instance: dg.DagsterInstance, **options: bool
) -> dg.ExecuteInProcessResult:
    defs = fine_tune_definitions(spec)
    assets = [*(defs.assets or ()), *(defs.asset_checks or ())]
    resources = {
        PLATFORM_KEY: PlatformAt(state_dir=str(platform.profile.state_dir)),
        ACCELERATOR_KEY: AcceleratorResource(),
    }
    return dg.materialize(assets, resources=resources, instance=instance, **options)  # pyright: ignore[reportArgumentType]


def with_checks(spec: FineTuneSpec) -> FineTuneSpec:
    """A check of rows that passes, and one of a figure that warns."""
    impossible = {"test": "metric", "metric": "loss", "max": 0.0, "severity": "warn"}
    tests = {"training_set": [{"test": "row_count", "min": 1}], "evaluation": [impossible]}
    return replace(spec, settings=FineTuneSettings.model_validate(spec.settings.model_dump() | {"tests": tests}))


def asset_key(spec: FineTuneSpec, stage: str) -> dg.AssetKey:
    return dg.AssetKey([spec.tenant, spec.name, stage])


def metadata(result: dg.ExecuteInProcessResult, spec: FineTuneSpec, stage: str) -> dict[str, object]:
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == asset_key(spec, stage)]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def versions(instance: dg.DagsterInstance, spec: FineTuneSpec) -> list[str]:
    found = []
    for stage in STAGES:
        event = instance.get_latest_materialization_event(asset_key(spec, stage))
        assert event is not None
        assert event.asset_materialization is not None
        found.append((event.asset_materialization.tags or {})["dagster/data_version"])
    return found


LIVE = {"step", "steps", "loss", "learning_rate", "grad_norm", "tokens_per_second", "eta_seconds", "memory_gb"}


def observed_live(instance: dg.DagsterInstance, run_id: str, key: dg.AssetKey) -> list[set[str]]:
    """The names of the figures of each observation of an asset, in a run."""
    observations = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=OBSERVATION)]
    of_asset = [event for event in observations if event and event.asset_key == key]
    return [set(event.asset_observation_data.asset_observation.metadata) for event in of_asset]


def test_from_examples_to_a_promoted_model_and_nothing_is_done_twice(
    tmp_path: Path, with_model: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "OBSERVE_SECONDS", 0.1)
    spec = with_checks(tiny_fine_tune(tmp_path, max_steps=4))
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        first = materialise(spec, with_model, instance)
        before = versions(instance, spec)
        tuned = metadata(first, spec, "tuned_model")
        assert tuned["trained in this run"] is True
        assert tuned["steps in this run"] == 4
        assert "data:image/png;base64," in str(tuned["loss curve"])
        assert metadata(first, spec, "promoted_model")["promoted in this run"] is True
        assert metadata(first, spec, "evaluation")["loss"] < metadata(first, spec, "evaluation")["base_loss"]  # type: ignore[operator]
        checked = {found.check_name: found.passed for found in first.get_asset_check_evaluations()}
        assert checked == {"row_count": True, "metric_loss": False, "gate": True}
        assert LIVE in observed_live(instance, first.run_id, asset_key(spec, "tuned_model"))
        assert any("step 4 of 4" in entry.user_message for entry in instance.all_logs(first.run_id))

        second = materialise(spec, with_model, instance)
        assert metadata(second, spec, "tuned_model")["steps in this run"] == 0
        assert metadata(second, spec, "evaluation")["models asked in this run"] is False
        assert metadata(second, spec, "promoted_model")["promoted in this run"] is False
        assert versions(instance, spec) == before

    promoted = promotion.promoted(with_model.state, "acme", "places")
    assert promoted is not None
    assert promoted.version == before[1]
    assert (promoted.path / "adapter_model.safetensors").is_file()
    assert not list(with_model.runs("acme", "places").rglob("*.bin"))
    assert not list(with_model.runs("acme", "places").rglob("*.pt*"))
    assert promotion.known_models(with_model.state) == [("acme", "places")]
    assert set(evaluation.latest_metrics(with_model.state, "acme", "places")) >= {
        "accuracy",
        "base_loss",
        "loss_gain",
    }
    assert_mlflow_knows(with_model, spec, promoted.version, steps=4)


def test_qlora_without_bitsandbytes_is_refused_before_a_device_is_taken(
    tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    spec = tiny_fine_tune(tmp_path, method="qlora")
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        result = materialise(spec, platform, instance, raise_on_error=False)
        (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "acme/places: training.method qlora needs bitsandbytes" in str(failed.event_specific_data)
    assert not (tmp_path / "ledger.db").exists()


def assert_mlflow_knows(platform: Platform, spec: FineTuneSpec, version: str, steps: int) -> None:
    """One finished run with its curve, its evaluation and its card; and the promoted version under its alias."""
    from mlflow.tracking import MlflowClient

    assert "knows everything" in relay.flush(platform, seconds=60)
    destination = platform.profile.tracking.destination(platform.profile.state_dir)
    client = MlflowClient(destination.uri, destination.uri)
    experiment = client.get_experiment_by_name(spec.id)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "training/loss")
    assert [metric.step for metric in history] == list(range(1, steps + 1))
    assert run.data.metrics["evaluation/loss"] < run.data.metrics["evaluation/base_loss"]
    assert run.data.params["learning_rate"] == "0.002"
    assert run.data.tags["tenant"] == "acme"
    files = {
        entry.path for folder in ("card", "evaluation") for entry in client.list_artifacts(run.info.run_id, folder)
    }
    assert {"card/README.md", "evaluation/levels.png", "evaluation/metrics.csv"} <= files
    found = client.get_model_version_by_alias("acme.places", "promoted")
    assert found.tags["llm_assets.version"] == version
    assert found.run_id == run.info.run_id
