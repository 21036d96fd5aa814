"""Filters of a search: a small structure of known fields, so that no query language reaches users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resources.vector_index.errors import InvalidQuery

EXACT_FIELDS = ("doc_id", "language", "media_type", "uri")
PREFIX_FIELDS = {"uri_prefix": "uri"}
FILTER_FIELDS = (*EXACT_FIELDS, *PREFIX_FIELDS)

Where = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Condition:
    """One field must equal (or start with) one of the values."""

    column: str
    values: tuple[str, ...]
    prefix: bool


def conditions(where: Where | None) -> list[Condition]:
    """Check a filter as users write it: `{"language": ["ja", "en"], "uri_prefix": "documents/contracts/"}`.

    All fields must hold, each by any of its values. A field without values holds for no row.

    Raises:
        InvalidQuery: names the permitted fields.
    """
    return [_condition(field, value) for field, value in (where or {}).items()]


def sql(checked: Sequence[Condition]) -> str | None:
    """The filter as an SQL predicate, values quoted; None where nothing is filtered."""
    return " AND ".join(_predicate(condition) for condition in checked) or None


def _condition(field: str, value: str | Sequence[str]) -> Condition:
    if field not in FILTER_FIELDS:
        raise InvalidQuery(f"no filter '{field}'; permitted: {', '.join(FILTER_FIELDS)}")
    values = (value,) if isinstance(value, str) else tuple(value)
    wrong = [item for item in values if not isinstance(item, str)]
    if wrong:
        raise InvalidQuery(f"filter '{field}': {wrong[0]!r} is not text")
    return Condition(PREFIX_FIELDS.get(field, field), values, field in PREFIX_FIELDS)


def _predicate(condition: Condition) -> str:
    if not condition.values:
        return "false"
    if condition.prefix:
        starts = (f"starts_with({condition.column}, {quoted(value)})" for value in condition.values)
        return f"({' OR '.join(starts)})"
    return is_one_of(condition.column, condition.values)


def is_one_of(column: str, values: Sequence[str]) -> str:
    """SQL for "the column is one of the values"."""
    return f"{column} IN ({', '.join(quoted(value) for value in values)})"


def quoted(value: str) -> str:
    """An SQL string literal."""
    return "'" + value.replace("'", "''") + "'"
