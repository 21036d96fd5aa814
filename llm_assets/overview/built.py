"""What has been built, over all corpora and models: a few counting queries, however many documents there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from resources import state_schema as schema

if TYPE_CHECKING:
    from resources.state import State

Name = tuple[str, str]  # tenant, corpus or model
MEASURES = {"index": ("ndcg@10",), "model": ("accuracy", "exact_match", "f1", "rouge_l")}
"""What stands for the quality of an index and of a model, the first that was measured; 1 is best."""
MOST_POINTS = 2000  # of the curves, the newest


@dataclass(frozen=True)
class Corpus:
    """One corpus in numbers.

    Attributes:
        parsed, quarantined: documents.
        chunks: passages.
        vectors: in the served index.
        served_at: seconds since the epoch; None where nothing is served.
    """

    name: str
    parsed: int = 0
    quarantined: int = 0
    chunks: int = 0
    vectors: int = 0
    served_at: float | None = None


@dataclass(frozen=True)
class Model:
    """One model: the promoted version, and since when (seconds since the epoch)."""

    name: str
    promoted: str | None = None
    promoted_at: float | None = None


@dataclass(frozen=True)
class Point:
    """One measurement: `value` of `measure`, at `at` seconds since the epoch."""

    name: str
    measure: str
    value: float
    at: float


@dataclass(frozen=True)
class Built:
    """Everything of one state database. `retrieval` and `quality` are in the order of time."""

    corpora: list[Corpus]
    models: list[Model]
    retrieval: list[Point]
    quality: list[Point]


def built(state: State) -> Built:
    """Read it.

    Raises:
        StateError: the state database cannot be used.
    """
    retrieval, quality = list(_points(state, "index")), list(_points(state, "model"))
    return Built(_corpora(state), _models(state, quality), retrieval, quality)


def last_change(state: State) -> str:
    """Differs whenever `built` would: cheap enough to be asked again and again."""
    found = []
    for column in (
        schema.documents.c.updated_at,
        schema.served.c.seq,
        schema.promotions.c.seq,
        schema.evaluations.c.evaluated_at,
    ):
        found += [
            sa.select(sa.func.max(column)).scalar_subquery(),
            sa.select(sa.func.count(column)).scalar_subquery(),
        ]
    return str(list((state.first(sa.select(*found)) or {}).values()))


def _corpora(state: State) -> list[Corpus]:
    documents, chunked = schema.documents, schema.chunked
    name = (documents.c.tenant, documents.c.corpus)
    statuses = sa.select(*name, documents.c.status, sa.func.count().label("count")).group_by(
        *name, documents.c.status
    )
    count = {(*_name(row), row["status"]): row["count"] for row in state.rows(statuses)}
    cut = sa.select(chunked.c.tenant, chunked.c.corpus, sa.func.sum(chunked.c.chunks).label("chunks"))
    chunks = {_name(row): row["chunks"] for row in state.rows(cut.group_by(chunked.c.tenant, chunked.c.corpus))}
    served = _newest(state, schema.served)
    return [
        Corpus(
            "/".join(key),
            count.get((*key, "parsed"), 0),
            count.get((*key, "quarantined"), 0),
            int(chunks.get(key, 0)),
            served[key]["rows"] if key in served else 0,
            served[key]["served_at"] if key in served else None,
        )
        for key in sorted({key[:2] for key in count} | served.keys())
    ]


def _models(state: State, quality: list[Point]) -> list[Model]:
    promoted = _newest(state, schema.promotions)
    measured = {(tenant, model) for tenant, _, model in (point.name.partition("/") for point in quality)}
    return [
        Model("/".join(key), promoted[key]["version"], promoted[key]["promoted_at"])
        if key in promoted
        else Model("/".join(key))
        for key in sorted(promoted.keys() | measured)
    ]


def _newest(state: State, table: sa.Table) -> dict[Name, dict[str, Any]]:
    """The newest row of each corpus or model that is not retired."""
    rows = state.rows(sa.select(table).where(table.c.retired.is_(False)).order_by(table.c.seq))
    return {_name(row): row for row in rows}


def _points(state: State, kind: str) -> Iterator[Point]:
    table = schema.evaluations
    query = sa.select(table.c.tenant, table.c.name, table.c.metrics, table.c.evaluated_at)
    newest = query.where(table.c.kind == kind).order_by(table.c.evaluated_at.desc()).limit(MOST_POINTS)
    for row in reversed(state.rows(newest)):
        measure = next((one for one in MEASURES[kind] if one in row["metrics"]), None)
        if measure:
            value = float(row["metrics"][measure])
            yield Point(f"{row['tenant']}/{row['name']}", measure, value, row["evaluated_at"])


def _name(row: Mapping[str, Any]) -> Name:
    return row["tenant"], row.get("corpus") or row["model"]
