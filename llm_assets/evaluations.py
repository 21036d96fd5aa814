"""What was measured of an index or a model, by the exact state that was measured, newest last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from resources import state_schema as schema
from resources.state import State, now

Kind = Literal["index", "model"]
OTHER_MODELS = ("base_", "promoted_")  # prefixes of the figures of the models beside a tuned one
DIFFERENCES = ("_gain", "_gain_over_promoted")  # suffixes


@dataclass(frozen=True)
class Evaluation:
    """One measurement.

    Attributes:
        subject: digest of what was measured, and with what: equal subjects need not be measured again.
        metrics: name to value.
        details: whatever the asset shows beside them, JSON.
        evaluated_at: seconds since the epoch.
    """

    subject: str
    metrics: dict[str, float]
    details: dict[str, Any]
    evaluated_at: float


def record(
    state: State,
    tenant: str,
    kind: Kind,
    name: str,
    subject: str,
    metrics: Mapping[str, float],
    details: Mapping[str, Any],
) -> Evaluation:
    """Keep a measurement; one of the same subject is replaced."""
    row = {"tenant": tenant, "kind": kind, "name": name, "subject": subject, "metrics": dict(metrics)}
    row |= {"details": dict(details), "evaluated_at": now()}
    state.put(schema.evaluations, [row])
    return _evaluation(row)


def find(state: State, tenant: str, kind: Kind, name: str, subject: str) -> Evaluation | None:
    """The measurement of a subject, if there is one."""
    row = state.first(_query(tenant, kind, name).where(schema.evaluations.c.subject == subject))
    return _evaluation(row) if row else None


def latest(state: State, tenant: str, kind: Kind, name: str) -> Evaluation | None:
    """The newest measurement."""
    row = state.first(_query(tenant, kind, name).order_by(schema.evaluations.c.evaluated_at.desc()))
    return _evaluation(row) if row else None


def levels(metrics: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """The figures of an index or of a tuned model, without those of other models and the differences."""
    for name, value in metrics.items():
        if not name.startswith(OTHER_MODELS) and not name.endswith(DIFFERENCES):
            yield name, value


def _query(tenant: str, kind: Kind, name: str) -> sa.Select[Any]:
    table = schema.evaluations
    return sa.select(table).where(table.c.tenant == tenant, table.c.kind == kind, table.c.name == name)


def _evaluation(row: Mapping[str, Any]) -> Evaluation:
    return Evaluation(row["subject"], row["metrics"], row["details"], row["evaluated_at"])
