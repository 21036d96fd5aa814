"""The corpus's own questions, asked of a candidate before it is served and of what is served afterwards.

A state of the index is measured once: the result is kept under a digest of what was measured and what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_assets import evaluations
from llm_assets.corpora import serving
from llm_assets.corpora.documents import known_documents
from resources.digests import digest, digest_json

if TYPE_CHECKING:
    from llm_assets.corpora.embeddings import EmbeddingStore
    from llm_assets.corpora.retrieval import RetrievalReport, Targets
    from llm_assets.corpora.settings import CorpusSpec
    from llm_assets.evaluations import Evaluation
    from resources.platform import Platform
    from resources.state import State
    from resources.vector_index.protocol import Hit, Snapshot

VERSION = "1"  # raise it when the same state and questions would be measured differently


class NothingServedError(RuntimeError):
    """There is no served index to evaluate."""


def measure(
    platform: Platform, spec: CorpusSpec, store: EmbeddingStore
) -> Callable[[Snapshot, str], dict[str, float]] | None:
    """What measures a candidate, given with the digest of its content; None where the corpus has no questions."""
    if spec.settings.evaluation is None:
        return None
    return lambda snapshot, content: _measured(platform, spec, store, snapshot, content).metrics


def of_served(platform: Platform, spec: CorpusSpec, store: EmbeddingStore) -> Evaluation:
    """The measurement of what is served now.

    Raises:
        NothingServedError: nothing is.
    """
    served = serving.served(platform.state, spec.tenant, spec.name)
    if served is None:
        raise NothingServedError(f"corpus {spec.id}: nothing is served yet, so there is nothing to evaluate")
    return _measured(platform, spec, store, served.snapshot, served.content)


def gate_problems(spec: CorpusSpec, metrics: Mapping[str, float]) -> list[str]:
    """Why a candidate with these metrics is not served, in plain words."""
    from llm_assets.corpora.retrieval import Gate

    return Gate(spec.settings.evaluation.gate).failures(metrics) if spec.settings.evaluation else []


def latest_metrics(state: State, tenant: str, corpus: str) -> dict[str, float]:
    """The metrics of the last evaluation; empty if there was none."""
    found = evaluations.latest(state, tenant, "index", corpus)
    return found.metrics if found else {}


def chart(found: Evaluation) -> bytes:
    """A picture of an evaluation: PNG."""
    from llm_assets.corpora.retrieval.chart import retrieval_chart

    return retrieval_chart(_report(found))


def _measured(
    platform: Platform, spec: CorpusSpec, store: EmbeddingStore, snapshot: Snapshot, content: str
) -> Evaluation:
    targets = _targets(platform, spec)
    subject = digest(VERSION, content, store.embedder.fingerprint, digest_json(asdict(targets)))
    known = evaluations.find(platform.state, spec.tenant, "index", spec.name, subject)
    if known:
        return known
    report = _ask(platform, spec, store, snapshot, targets)
    details = {"per_query": [asdict(row) for row in report.per_query], "by_language": report.by_language}
    details["unknown"] = list(report.unknown)
    return evaluations.record(platform.state, spec.tenant, "index", spec.name, subject, report.metrics, details)


def _targets(platform: Platform, spec: CorpusSpec) -> Targets:
    from llm_assets.corpora.retrieval import read_evaluation_set, resolve

    assert spec.settings.evaluation is not None  # noqa: S101 - callers asked before
    path = spec.settings.evaluation.path
    judged = read_evaluation_set(path if "://" in path else spec.folder / Path(path))
    uris = [row["uri"] for row in known_documents(platform.state, spec.tenant, spec.name).values()]
    return resolve(judged, uris, [spec.settings.source.path])


def _ask(
    platform: Platform, spec: CorpusSpec, store: EmbeddingStore, snapshot: Snapshot, targets: Targets
) -> RetrievalReport:
    from llm_assets.corpora.retrieval import DEPTH, evaluate
    from resources.vector_index import dense_trust

    index, texts = platform.index(spec.tenant), [query.text for query in targets.queries]
    vectors = dict(zip(texts, store.queries(texts), strict=True))

    def search(text: str) -> list[Hit]:
        trust = dense_trust(text, store.embedder.languages, store.embedder.coverage(text))
        return index.search(snapshot, text=text, vector=vectors[text], k=DEPTH, dense_trust=trust)

    return evaluate(search, targets)


def _report(found: Evaluation) -> RetrievalReport:
    from llm_assets.corpora.retrieval import QueryResult, RetrievalReport

    details: dict[str, Any] = found.details
    rows = tuple(QueryResult(**row) for row in details["per_query"])
    return RetrievalReport(found.metrics, details["by_language"], rows, tuple(details["unknown"]))
