"""Guards against models that train when nothing changed, twice for one change, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from llm_assets.following import MARGIN, condition, freshness
from llm_assets.jobs import MODEL_STAGES, WHOLE_TAG
from llm_assets.schema import Described

MODEL = (*MODEL_STAGES, "answers")
READS = {
    "training_set": ("chunks", "examples"),
    "tuned_model": ("training_set",),
    "evaluation": ("training_set", "tuned_model"),
    "promoted_model": ("tuned_model", "evaluation"),
    "answers": ("promoted_model", "inputs"),
}


class Model:
    """The stages of a model with the real conditions; their functions only say which version they made."""

    def __init__(self, instance: dg.DagsterInstance, automation: Any = "on_change") -> None:
        self.instance = instance
        self.versions: dict[str, str] = dict.fromkeys(("chunks", *MODEL), "1")
        settings = Described(name="kind", automation=automation)

        sources = [self._source(name) for name in ("examples", "inputs")]
        stages = [self._stage(name, settings) for name in ("chunks", *MODEL)]
        self.defs = dg.Definitions(assets=[*sources, *stages])
        self.while_made: Callable[[str], None] = lambda name: None
        self._cursor: Any = None

    def _source(self, name: str) -> Any:
        @dg.observable_source_asset(name=name)
        def source() -> dg.DataVersion:
            return dg.DataVersion("unused")

        return source

    def _stage(self, name: str, settings: Described) -> dg.AssetsDefinition:
        @dg.asset(name=name, deps=READS.get(name, ()), automation_condition=condition(settings, dg.AssetKey(name)))
        def stage() -> dg.MaterializeResult:
            made = dg.DataVersion(self.versions[name])
            self.while_made(name)
            return dg.MaterializeResult(data_version=made)

        return stage

    def make(self, *names: str, **versions: str) -> None:
        """Materialise assets in one run, with other versions than before; all of a model's as its job does."""
        self.versions |= versions
        tags = {WHOLE_TAG: "model"} if set(names) >= set(MODEL_STAGES) else None
        assets: Any = list(self.defs.assets or ())
        assert dg.materialize(assets, instance=self.instance, selection=list(names), tags=tags).success

    def observe(self, version: str, file: str = "examples") -> None:
        """What the sensor reports when a file has changed."""
        event = dg.AssetObservation(file, tags={"dagster/data_version": version})
        self.instance.report_runless_asset_event(event)

    def requested(self) -> set[str]:
        """What one tick of automation starts."""
        result = dg.evaluate_automation_conditions(self.defs, self.instance, cursor=self._cursor)
        self._cursor = result.cursor
        return {key for key in ("chunks", *MODEL) if result.get_num_requested(dg.AssetKey(key))}


@pytest.fixture
def trained(instance: dg.DagsterInstance) -> Model:
    """A model that was trained once, after a first tick."""
    model = Model(instance)
    model.observe("1")
    model.observe("1", "inputs")
    model.make("chunks", *MODEL)
    assert model.requested() == set()
    return model


def test_other_data_makes_the_training_set_and_other_rows_train_examine_and_promote_in_one_run(
    trained: Model,
) -> None:
    trained.make("chunks", chunks="2")
    assert trained.requested() == {"training_set"}
    trained.make("training_set", training_set="2")
    assert trained.requested() == {"tuned_model", "evaluation", "promoted_model"}
    trained.make("tuned_model", "evaluation", "promoted_model", tuned_model="2", evaluation="2")
    assert trained.requested() == set()
    assert trained.requested() == set()


def test_another_promoted_model_and_other_inputs_are_answered(trained: Model) -> None:
    trained.make("promoted_model", promoted_model="2")
    assert trained.requested() == {"answers"}
    trained.make("answers", answers="2")
    assert trained.requested() == set()
    trained.observe("2", "inputs")
    assert trained.requested() == {"answers"}
    trained.make("answers", answers="3")
    assert trained.requested() == set()


def test_data_that_gives_the_same_training_set_trains_nothing(trained: Model) -> None:
    trained.make("chunks", chunks="2")
    assert trained.requested() == {"training_set"}
    trained.make("training_set")
    assert trained.requested() == set()


def test_a_run_that_finds_nothing_new_starts_nothing(trained: Model) -> None:
    trained.make("chunks")
    assert trained.requested() == set()


def test_changed_examples_are_followed(trained: Model) -> None:
    trained.observe("2")
    assert trained.requested() == {"training_set"}


def test_what_one_run_has_made_already_is_not_made_again(trained: Model) -> None:
    trained.make("chunks", *MODEL, **dict.fromkeys(("chunks", *MODEL), "2"))
    assert trained.requested() == set()


def test_a_change_that_comes_too_late_for_a_run_under_way_is_followed_after_it(trained: Model) -> None:
    def change(name: str) -> None:
        if name == "tuned_model":
            trained.while_made = lambda name: None
            trained.make("training_set", training_set="2")
            assert trained.requested() == set()  # hours of training may pass

    trained.while_made = change
    trained.make("tuned_model", "evaluation", "promoted_model")
    assert trained.requested() == {"tuned_model", "evaluation", "promoted_model"}
    trained.make("tuned_model", "evaluation", "promoted_model")
    assert trained.requested() == set()


def test_a_change_right_after_a_run_is_followed_though_both_are_seen_at_once(trained: Model) -> None:
    trained.make("training_set")
    trained.make("chunks", chunks="2")
    assert trained.requested() == {"training_set"}
    trained.make("training_set")
    assert trained.requested() == set()


def test_a_model_that_was_never_trained_is_not_trained_unasked(instance: dg.DagsterInstance) -> None:
    model = Model(instance)
    model.make("chunks")
    assert model.requested() == set()
    model.observe("1")
    model.make("chunks", chunks="2")
    assert model.requested() == set()


@pytest.mark.parametrize("automation", ["manual", {"cron": "0 3 * * *"}])
def test_a_model_that_is_run_otherwise_has_no_condition(automation: Any) -> None:
    settings = Described(name="kind", automation=automation)
    assert [condition(settings, dg.AssetKey(stage)) for stage in MODEL] == [None] * 5


def test_tables_are_overdue_after_the_pause_of_their_cron_or_the_hours_that_yaml_gives() -> None:
    nightly = Described.model_validate({"name": "a", "automation": {"cron": "0 3 * * 1-5"}})
    assert freshness(nightly) == dg.FreshnessPolicy.time_window(timedelta(days=3) + MARGIN)
    by_hours = Described.model_validate({"name": "a", "fresh_within_hours": 6})
    assert freshness(by_hours) == dg.FreshnessPolicy.time_window(timedelta(hours=6))
    assert freshness(Described(name="a")) is None
