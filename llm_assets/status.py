"""What there is: per corpus and model, from the state database alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from llm_assets import evaluations
from llm_assets.corpora import serving
from llm_assets.corpora.chunks import known_chunks
from llm_assets.corpora.documents import known_documents
from llm_assets.models import promotion

if TYPE_CHECKING:
    from resources.platform import Platform


@dataclass(frozen=True)
class CorpusStatus:
    """One corpus: what was read, what is served, how well it answers."""

    corpus: str
    documents: int
    quarantined: list[dict[str, str]]
    chunks: int
    vectors: int
    collection: str | None
    served_at: float | None
    pinned: bool
    evaluation: dict[str, float] | None


@dataclass(frozen=True)
class ModelStatus:
    """One model: what is promoted, and the last evaluation."""

    model: str
    promoted: str | None
    promoted_at: float | None
    pinned: bool
    evaluation: dict[str, float] | None


def status(platform: Platform) -> dict[str, list[dict[str, Any]]]:
    """All corpora and models, as plain values."""
    return {
        "corpora": [asdict(corpus_status(platform, *key)) for key in serving.known_corpora(platform.state)],
        "models": [asdict(model_status(platform, *key)) for key in promotion.known_models(platform.state)],
    }


def corpus_status(platform: Platform, tenant: str, corpus: str) -> CorpusStatus:
    """One corpus."""
    rows = sorted(known_documents(platform.state, tenant, corpus).values(), key=lambda row: row["uri"])
    served = serving.served(platform.state, tenant, corpus)
    latest = evaluations.latest(platform.state, tenant, "index", corpus)
    return CorpusStatus(
        corpus=f"{tenant}/{corpus}",
        documents=sum(row["status"] == "parsed" for row in rows),
        quarantined=[
            {name: row[name] for name in ("uri", "code", "reason")} for row in rows if row["status"] == "quarantined"
        ],
        chunks=sum(row["chunks"] for row in known_chunks(platform.state, tenant, corpus).values()),
        vectors=served.rows if served else 0,
        collection=served.snapshot.collection if served else None,
        served_at=served.served_at if served else None,
        pinned=serving.is_pinned(platform.state, tenant, "index", corpus),
        evaluation=latest.metrics if latest else None,
    )


def model_status(platform: Platform, tenant: str, model: str) -> ModelStatus:
    """One model."""
    promoted = promotion.promoted(platform.state, tenant, model)
    latest = evaluations.latest(platform.state, tenant, "model", model)
    return ModelStatus(
        model=f"{tenant}/{model}",
        promoted=promoted.version if promoted else None,
        promoted_at=promoted.promoted_at if promoted else None,
        pinned=serving.is_pinned(platform.state, tenant, "model", model),
        evaluation=latest.metrics if latest else None,
    )


def lines(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The status as text for people."""
    if not found["corpora"] and not found["models"]:
        return ["Nothing has been built yet: make demo"]
    text = [line for corpus in found["corpora"] for line in _corpus_lines(corpus)]
    return text + [line for model in found["models"] for line in _model_lines(model)]


def _corpus_lines(corpus: dict[str, Any]) -> list[str]:
    quarantined = corpus["quarantined"]
    pinned = "  PINNED by a rollback (llm-assets resume index NAME)" if corpus["pinned"] else ""
    return [
        f"corpus {corpus['corpus']}{pinned}",
        f"  documents   {corpus['documents']} parsed, {len(quarantined)} quarantined{_codes(quarantined)}",
        *(f"              - {row['uri']}: {row['reason']}" for row in quarantined),
        f"  chunks      {corpus['chunks']}",
        f"  served      {corpus['vectors']} vectors in {corpus['collection'] or 'no collection'}",
        f"  evaluation  {told_metrics(corpus['evaluation'])}",
    ]


def _model_lines(model: dict[str, Any]) -> list[str]:
    pinned = "  PINNED by a rollback (llm-assets resume model NAME)" if model["pinned"] else ""
    return [
        f"model {model['model']}{pinned}",
        f"  promoted    {model['promoted'] or 'nothing'}",
        f"  evaluation  {told_metrics(model['evaluation'])}",
    ]


def _codes(quarantined: list[dict[str, str]]) -> str:
    counts = Counter(row["code"] for row in quarantined)
    return f" ({', '.join(f'{code} {count}' for code, count in sorted(counts.items()))})" if counts else ""


def told_metrics(metrics: dict[str, float] | None) -> str:
    """Metrics on one line; a tuned model's with the other models' beside them, without differences."""
    if not metrics:
        return "none yet"
    return ", ".join(f"{name} {value:.3f}{_others(metrics, name)}" for name, value in evaluations.levels(metrics))


def _others(metrics: dict[str, float], name: str) -> str:
    known = [(model, f"{model}_{name}") for model in ("base", "promoted")]
    told = ", ".join(f"{model} {metrics[key]:.3f}" for model, key in known if key in metrics)
    return f" ({told})" if told else ""
