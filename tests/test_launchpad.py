"""Parameters of a run: one that is refused too late has cost a night, one that is silently ignored a wrong result."""

from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest
from pydantic import Field, model_validator

from llm_assets.launchpad import ParameterError, applied, config_of, of_run
from llm_assets.models.settings.training import TrainingSettings
from llm_assets.schema import Settings


class Stopping(Settings):
    patience: int = Field(default=3, ge=1)


class Recipe(Settings):
    """Every kind of field that settings have."""

    batch: int = Field(default=16, ge=1, le=64, description="Rows of a step.")
    part: int | None = None
    rate: float = Field(default=0.1, gt=0)
    schedule: str = "cosine"
    names: list[str] = Field(default_factory=list)
    packing: bool | str = "auto"
    stopping: Stopping | None = None
    pool: str = "small"

    @model_validator(mode="after")
    def _divides(self) -> "Recipe":
        if self.part and self.batch % self.part:
            raise ValueError(f"part is {self.part}: it must divide batch ({self.batch})")
        return self


YAML = Recipe(batch=8)


@dataclass(frozen=True)
class Whole:
    """As the spec of a component: its settings have sections."""

    settings: Any


class Sections(Settings):
    recipe: Recipe = YAML


def asset(seen: list[Any], recipe: Recipe = YAML) -> dg.AssetsDefinition:
    @dg.asset(config_schema=config_of("the recipe", recipe, without=("pool",)))
    def made(context: dg.AssetExecutionContext) -> None:
        seen.append(applied(recipe, context))
        seen.append(of_run(Whole(Sections()), "recipe", context).settings.recipe)

    return made


def run(config: dict[str, Any] | None, recipe: Recipe = YAML) -> Recipe:
    seen: list[Any] = []
    told = {"ops": {"made": {"config": config}}} if config is not None else {}
    dg.materialize([asset(seen, recipe)], run_config=told)
    return seen[0]


def test_an_empty_config_is_valid_and_means_what_the_yaml_says() -> None:
    assert run(None) == run({}) == Recipe(batch=8)


def test_what_is_given_replaces_what_the_yaml_says() -> None:
    given = {"batch": 4, "part": 2, "packing": True, "names": ["a"], "stopping": {"patience": 5}}
    assert run(given) == Recipe(batch=4, part=2, packing=True, names=["a"], stopping=Stopping(patience=5))


def test_a_section_of_the_settings_of_a_spec_is_replaced() -> None:
    seen: list[Any] = []
    dg.materialize([asset(seen)], run_config={"ops": {"made": {"config": {"part": 4}}}})
    assert seen[1] == Recipe(batch=8, part=4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch": 0}, "the recipe: batch: Input should be greater than or equal to 1 (found 0)"),
        ({"batch": 9, "part": 2}, "the recipe: part is 2: it must divide batch (9)"),
        ({"part": 3}, "the recipe: part is 3: it must divide batch (8)"),
        ({"stopping": {"patience": 0}}, "the recipe: stopping.patience: Input should be greater than or equal to 1"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field_and_what_is_permitted_before_a_run_is_there(
    given: dict[str, Any], said: str
) -> None:
    seen: list[Any] = []
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        with pytest.raises(ParameterError) as refused:
            dg.materialize([asset(seen)], run_config={"ops": {"made": {"config": given}}}, instance=instance)
        assert said in str(refused.value)
        assert (seen, instance.get_runs()) == ([], [])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bacth": 4}, "batch?: Int"),
        ({"batch": "four"}, 'expected type "Int"'),
        ({"batch": None}, "batch"),
        ({"pool": "full"}, "pool"),
    ],
)
def test_what_is_no_parameter_or_of_another_type_is_refused_by_dagster(given: dict[str, Any], said: str) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match=said.replace("?", r"\?")):
        run(given)


def test_a_choice_is_refused_with_all_that_is_permitted() -> None:
    field = config_of("training", TrainingSettings(), only=("schedule",))

    @dg.asset(config_schema=field)
    def made(context: dg.AssetExecutionContext) -> None: ...

    with pytest.raises(dg.DagsterInvalidConfigError, match=r"cosine \| linear \| constant got round"):
        dg.materialize([made], run_config={"ops": {"made": {"config": {"schedule": "round"}}}})


def test_defaults_and_descriptions_are_those_of_the_settings() -> None:
    fields = config_of("the recipe", Recipe(batch=8), without=("pool",)).config_type.fields  # pyright: ignore
    assert (fields["batch"].default_value, fields["batch"].is_required) == (8, False)
    assert fields["batch"].description == "Rows of a step. At least 1 and at most 64."
    assert "pool" not in fields


def test_two_assets_with_equal_fields_are_checked_each_by_its_own_settings() -> None:
    """Dagster shares one instance among shapes that look alike."""
    first, second = (config_of(name, Recipe(pool=name), without=("pool",)) for name in ("one", "two"))

    @dg.asset(config_schema=first)
    def one(context: dg.AssetExecutionContext) -> None: ...

    @dg.asset(config_schema=second)
    def two(context: dg.AssetExecutionContext) -> None: ...

    for name in ("one", "two"):
        with pytest.raises(ParameterError, match=f"^{name}: batch"):
            dg.materialize([one, two], run_config={"ops": {name: {"config": {"batch": 0}}}})
