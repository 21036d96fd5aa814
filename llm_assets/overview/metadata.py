"""The overview as Dagster shows it: totals, which its page also plots over time, tables and pictures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from llm_assets.overview import activity
from llm_assets.overview.built import Built, Point, built
from llm_assets.overview.pictures import Picture, quality_chart, size_chart
from llm_assets.reporting import picture, table

if TYPE_CHECKING:
    import dagster as dg

    from resources.state import State

CORPUS_COLUMNS = ["corpus", "documents", "quarantined", "passages", "vectors", "served", "retrieval"]
MODEL_COLUMNS = ["model", "promoted", "since", "quality"]
RUN_COLUMNS = ["run", "what", "status", "created", "seconds"]
POOL_COLUMNS = ["pool", "leases", "held_gb", "waiting", "longest_wait_s"]


def overview_metadata(state: State, instance: dg.DagsterInstance) -> dict[str, Any]:
    """Everything at a glance, as it is now.

    Raises:
        StateError: the state database cannot be used.
    """
    found = built(state)
    return {
        **_totals(found),
        **_pictures(found),
        "corpora": table(_corpora(found), CORPUS_COLUMNS),
        "models": table(_models(found), MODEL_COLUMNS),
        "last_runs": table(activity.last_runs(instance), RUN_COLUMNS),
        **_devices(),
    }


def _totals(found: Built) -> dict[str, int]:
    return {
        "documents": sum(corpus.parsed for corpus in found.corpora),
        "quarantined": sum(corpus.quarantined for corpus in found.corpora),
        "passages": sum(corpus.chunks for corpus in found.corpora),
        "vectors": sum(corpus.vectors for corpus in found.corpora),
        "corpora_served": sum(corpus.served_at is not None for corpus in found.corpora),
        "models_promoted": sum(model.promoted is not None for model in found.models),
    }


def _pictures(found: Built) -> dict[str, Any]:
    """One for each thing there is something to show of."""
    drawn: dict[str, tuple[Picture, str]] = {}
    if found.corpora:
        drawn["size"] = size_chart(found.corpora), "documents and vectors of each corpus"
    if found.retrieval:
        drawn["retrieval_over_time"] = quality_chart(found.retrieval), "quality of retrieval over time"
    if found.quality:
        drawn["models_over_time"] = quality_chart(found.quality), "quality of the tuned models over time"
    stand_ins = {f"{key} {label}": name for key, (one, _) in drawn.items() for label, name in one.stand_ins.items()}
    pictures = {key: picture(one.png, alt) for key, (one, alt) in drawn.items()}
    return {**pictures, **({"names_in_pictures": stand_ins} if stand_ins else {})}


def _corpora(found: Built) -> list[dict[str, Any]]:
    latest = _latest(found.retrieval)
    return [
        {
            "corpus": corpus.name,
            "documents": corpus.parsed,
            "quarantined": corpus.quarantined,
            "passages": corpus.chunks,
            "vectors": corpus.vectors,
            "served": activity.shown_time(corpus.served_at) or "nothing",
            "retrieval": latest.get(corpus.name, "not measured"),
        }
        for corpus in found.corpora
    ]


def _models(found: Built) -> list[dict[str, Any]]:
    latest = _latest(found.quality)
    return [
        {
            "model": model.name,
            "promoted": model.promoted or "nothing",
            "since": activity.shown_time(model.promoted_at),
            "quality": latest.get(model.name, "not measured"),
        }
        for model in found.models
    ]


def _latest(points: list[Point]) -> dict[str, str]:
    return {point.name: f"{point.measure} {point.value:.3f}" for point in points}


def _devices() -> dict[str, Any]:
    """An empty table says that no device is held; a ledger that cannot be read does not hide the rest."""
    from resources.accelerators.errors import LedgerError

    try:
        rows = activity.devices(time.time())
    except LedgerError as error:
        return {"devices": str(error)}
    return {"devices": table(rows, POOL_COLUMNS)}
