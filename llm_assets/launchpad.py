"""Parameters of one run, for the launchpad and for `--config`: settings of the YAML that a person may change there.

The launchpad shows the YAML's values as defaults. What it is given is checked before a run starts, by the very models
that check the YAML, so that a rule is written once.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, Protocol, TypeVar, get_args, get_origin

import dagster as dg
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from resources.config_errors import problems
from resources.digests import digest_json


class Spec(Protocol):
    """What a component's assets are made from: a frozen dataclass with the settings of its YAML."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def settings(self) -> BaseModel: ...


S = TypeVar("S", bound=BaseModel)
D = TypeVar("D", bound=Spec)
SCALARS: Mapping[type, type] = {bool: bool, int: int, float: float, str: str}
BOUNDS: Mapping[type, str] = {Ge: "at least {.ge:g}", Gt: "above {.gt:g}", Le: "at most {.le:g}", Lt: "below {.lt:g}"}


def config_of(
    subject: str,
    defaults: S,
    *,
    only: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
    problem: Callable[[S], str | None] = lambda _: None,
) -> dg.Field:
    """The config schema of an asset, for `dg.asset(config_schema=…)`. An empty config is valid.

    Args:
        subject: what the settings are of; errors begin with it.
        defaults: the settings as the YAML has them.
        only: fields that one run can change; by default all.
        without: fields that it cannot.
        problem: what is wrong with valid settings here, beside what their model says.
    """
    shown = [name for name in only or type(defaults).model_fields if name not in without]
    return dg.Field(_Checked(subject, defaults, shown, problem))


def applied(settings: S, context: dg.AssetExecutionContext) -> S:
    """The settings of a run: the YAML's, with what the launchpad was given."""
    return _changed(settings, context.op_execution_context.op_config or {})


def of_run(spec: D, section: str, context: dg.AssetExecutionContext) -> D:
    """A corpus or a fine-tune with what the launchpad was given for one section of its settings."""
    changed = applied(getattr(spec.settings, section), context)
    return replace(spec, settings=spec.settings.model_copy(update={section: changed}))


def _changed(settings: S, config: Mapping[str, Any]) -> S:
    return type(settings).model_validate({**settings.model_dump(), **config})


class ParameterError(ValueError):
    """A run was given what it cannot have; the message says which parameter, and what is permitted."""


class _Checked(dg.Shape):
    """A shape whose values are checked together by the model they are for.

    Dagster keeps one instance for all shapes that look alike; two that are checked differently must differ in key.
    """

    def __new__(cls, *_args: object) -> _Checked:
        return object.__new__(cls)

    def __init__(self, subject: str, defaults: S, shown: Sequence[str], problem: Callable[[S], str | None]) -> None:
        self._initialized = False
        super().__init__(_fields(type(defaults), defaults, shown), description=subject)
        self.key = f"{self.key}.{digest_json([subject, defaults.model_dump(mode='json')])[:12]}"
        self._subject, self._defaults, self._problem = subject, defaults, problem

    def post_process(self, value: Any) -> Any:
        """Called while a run is being planned, before it is created.

        Dagster's own error for this would bury the reason below all values and a traceback; ours passes through.
        """
        try:
            changed = _changed(self._defaults, value)
        except ValidationError as error:
            found = "; ".join(problems(error, type(self._defaults)))
            raise ParameterError(f"{self._subject}: {found}") from None
        if problem := self._problem(changed):
            raise ParameterError(f"{self._subject}: {problem}")
        return value


def _fields(model: type[BaseModel], values: BaseModel | None, shown: Sequence[str] = ()) -> dict[str, dg.Field]:
    """A field for each of the model's. Without values, those of the model are the defaults."""
    dumped, found = values.model_dump(mode="json") if values else {}, {}
    for name in shown or model.model_fields:
        field = model.model_fields[name]
        default = {"default_value": dumped[name]} if values else _own_default(field)
        kind = _type(field.annotation, getattr(values, name, None))
        found[name] = dg.Field(kind, is_required=not default, description=_described(field), **default)
    return found


def _own_default(field: FieldInfo) -> dict[str, Any]:
    if field.is_required():
        return {}
    default = field.get_default(call_default_factory=True)
    return {"default_value": default.model_dump(mode="json") if isinstance(default, BaseModel) else default}


def _type(annotation: Any, value: Any) -> Any:
    """The nearest type that Dagster has; what it cannot say is left to the check of the whole."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return dg.Shape(_fields(annotation, value if isinstance(value, annotation) else None))
    if annotation in SCALARS:
        return SCALARS[annotation]
    if get_origin(annotation) is Literal and all(isinstance(one, str) for one in get_args(annotation)):
        return _choice(get_args(annotation))
    members = [one for one in get_args(annotation) if one is not types.NoneType]
    if get_origin(annotation) in {typing.Union, types.UnionType} and len(members) == 1:
        return dg.Noneable(_type(members[0], value))
    if get_origin(annotation) is list and members[0] in SCALARS:
        return dg.Array(members[0])
    return dg.Any


def _choice(values: tuple[str, ...]) -> dg.Enum:
    """Named by its values: the name is what an error shows."""
    return dg.Enum(" | ".join(values), [dg.EnumValue(value) for value in values])


def _described(field: FieldInfo) -> str | None:
    bounds = " and ".join(BOUNDS[type(one)].format(one) for one in field.metadata if type(one) in BOUNDS)
    parts = [field.description, f"{bounds[:1].upper()}{bounds[1:]}." if bounds else None]
    return " ".join(part for part in parts if part) or None
