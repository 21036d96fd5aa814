"""Parts that the schemas of all components share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llm_assets.automation import Automation

# Dagster's rules, so that what it would refuse without a place is refused with file and line. Its own functions are
# not called: a search from the command line reads YAML and need not wait for Dagster.
_OWNER = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Z|a-z]{2,7}\b|team:.+", re.DOTALL)
_TAG_KEY = re.compile(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}")
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,63}")
RESERVED_TAGS = ("tenant", "corpus", "model", "stage")  # of every stage: jobs, sensors and locks go by them
RESERVED_PREFIXES = ("accelerator/", "dagster/", "llm-assets/")

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", description="Lower-case words joined by _.")]


class Settings(BaseModel):
    """A part of a component's YAML: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Described(Settings):
    """What every component may say about itself."""

    name: Name
    description: str = ""
    owners: list[str] = Field(default_factory=list, description="E-mail addresses, or team:<name>.")
    tags: dict[str, str] = Field(default_factory=dict, description="Of every asset, for the UI's filters.")
    automation: Automation = Field(
        default="on_change",
        description="on_change: a corpus follows its files, a model its data once it has been trained a first time; "
        'manual: only what somebody starts; {cron: "0 3 * * *", timezone: Asia/Tokyo}: at these times.',
    )
    fresh_within_hours: float | None = Field(
        default=None,
        gt=0,
        description="The UI shows its tables as overdue when they are older; with a cron, by default its longest "
        "pause and two hours.",
    )

    @field_validator("owners")
    @classmethod
    def _owner(cls, owners: list[str]) -> list[str]:
        for owner in owners:
            if not _OWNER.fullmatch(owner):
                raise ValueError(f"owner '{owner}' is neither an e-mail address nor team:<name>")
        return owners

    @field_validator("tags")
    @classmethod
    def _tag(cls, tags: dict[str, str]) -> dict[str, str]:
        for key, value in tags.items():
            if key in RESERVED_TAGS or key.startswith(RESERVED_PREFIXES):
                raise ValueError(
                    f"tag '{key}' is set by the project; reserved: {', '.join(RESERVED_TAGS)}, and what begins with "
                    f"{', '.join(RESERVED_PREFIXES)}"
                )
            for part, rule in ((key, _TAG_KEY), (value, _TAG_VALUE)):
                if not rule.fullmatch(part):
                    raise ValueError(
                        f"tag '{key}: {value}': a name and a value have letters, digits, '_', '-' and '.', at most "
                        "63; a name may have a first part that ends with '/'"
                    )
        return tags


S = TypeVar("S", bound=Described)


@dataclass(frozen=True)
class Spec(Generic[S]):
    """What a tenant has configured. `folder` is that of its defs.yaml: relative paths start there."""

    tenant: str
    folder: Path
    settings: S

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def id(self) -> str:
        """`tenant/name`: the prefix of its asset keys and the name people use."""
        return f"{self.tenant}/{self.name}"


class Test(Settings):
    """One check of a table. `severity: error` blocks what is downstream."""

    __test__ = False  # not a pytest class
    severity: Literal["warn", "error"] = "error"


class NotNull(Test):
    """No row has an empty `column`."""

    test: Literal["not_null"]
    column: str


class Unique(Test):
    """No value of `column` occurs twice."""

    test: Literal["unique"]
    column: str


class AcceptedValues(Test):
    """Every value of `column` is one of `values`."""

    test: Literal["accepted_values"]
    column: str
    values: list[str]


class Bounded(Test):
    """A test of a number, with a least or a largest value or both."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("min, max or both are needed: without them nothing is tested")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min is {self.min:g}, above max, {self.max:g}: nothing could pass")
        return self


class RowCount(Bounded):
    """The table has between `min` and `max` rows."""

    test: Literal["row_count"]


class Share(Test):
    """At most `max` of the rows (0 to 1) have `value` in `column`."""

    test: Literal["share"]
    column: str
    value: str
    max: float = Field(ge=0, le=1)


class Metric(Bounded):
    """A measured figure lies between `min` and `max`."""

    test: Literal["metric"]
    metric: str


TableTest = Annotated[NotNull | Unique | AcceptedValues | RowCount | Share, Field(discriminator="test")]


_TEMPLATE = {"type": "string", "pattern": r"\{\{"}
_NULL = {"type": "null"}


@cache
def template_tolerant(model: type[BaseModel]) -> type[BaseModel]:
    """A model that takes every value as it stands in the file, for a component that renders its templates first.

    Its JSON schema, which editors and `dg check yaml` use, is that of `model`, with templates allowed everywhere.
    """

    class Tolerant(BaseModel):
        model_config = ConfigDict(extra="allow", title=model.__name__)

        @classmethod
        def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return _with_templates(model.model_json_schema(*args, **kwargs))

    Tolerant.__doc__ = model.__doc__
    return Tolerant


def _with_templates(schema: Any) -> Any:
    """Let a template stand for every value, and let an error name the one thing that is wrong.

    Validators say of `anyOf` and `oneOf` only that nothing fits, and of `additionalProperties` not what is permitted.
    """
    if isinstance(schema, list):
        return [_with_templates(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _with_templates(value) for key, value in schema.items()}
    if "properties" in result:
        result.pop("additionalProperties", None)
        result["propertyNames"] = {"enum": sorted(result["properties"])}
        result["properties"] = {name: _unless(_TEMPLATE, part) for name, part in result["properties"].items()}
    if "discriminator" in result:
        return _by_tag(**result["discriminator"])
    members = result.get("anyOf", [])
    if len(members) == 2 and _NULL in members:
        members.remove(_NULL)
        return _unless(_NULL, {**result.pop("anyOf")[0], **result})
    return result


def _unless(condition: Mapping[str, Any], schema: Any) -> dict[str, Any]:
    return {"if": condition, "else": schema}


def _by_tag(propertyName: str, mapping: Mapping[str, str]) -> dict[str, Any]:
    """A choice between objects by the value of one field."""
    cases = [
        {"if": {"properties": {propertyName: {"const": tag}}}, "then": {"$ref": reference}}
        for tag, reference in mapping.items()
    ]
    return {
        "type": "object",
        "properties": {propertyName: {"enum": list(mapping)}},
        "if": {"required": [propertyName]},
        "then": {"allOf": cases},
        "else": {"required": [propertyName]},
    }
