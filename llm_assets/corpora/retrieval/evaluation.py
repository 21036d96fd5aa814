"""Search for every question of an evaluation set and measure what came back."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from llm_assets.corpora.retrieval.gate import METRICS
from llm_assets.corpora.retrieval.targets import Target, Targets

if TYPE_CHECKING:
    from resources.vector_index import Hit

DEPTH = 50  # chunks a search should return, so that ten documents are left when chunks of one collapse
UNKNOWN_LANGUAGE = "und"


@dataclass(frozen=True)
class QueryResult:
    """How one question fared.

    Attributes:
        query_id, text, language: the question.
        ndcg: its nDCG@10.
        first_relevant: rank of the first relevant result, from 1; None if it was not found.
        top: uri of the best result; None if nothing came back.
    """

    query_id: str
    text: str
    language: str | None
    ndcg: float
    first_relevant: int | None
    top: str | None

    def row(self) -> dict[str, Any]:
        """As a row of a table."""
        return asdict(self)


@dataclass(frozen=True)
class RetrievalReport:
    """The measures of a search over an evaluation set.

    Attributes:
        metrics: mean over the questions, by the names of `METRICS`.
        by_language: the same for the questions of each language that is stated.
        per_query: each question, in the set's order.
        unknown: judged documents that the corpus does not have.
    """

    metrics: dict[str, float]
    by_language: dict[str, dict[str, float]]
    per_query: tuple[QueryResult, ...]
    unknown: tuple[str, ...]


def evaluate(search: Callable[[str], Sequence[Hit]], targets: Targets) -> RetrievalReport:
    """Measure a search.

    What is ranked are documents: chunks of one document collapse to the best one, a chunk that contains a judged
    passage is ranked as that passage.

    Args:
        search: a question's text to its hits, best first, `DEPTH` of them if there are so many.
        targets: the questions and what they should find.
    """
    rankings = {query.id: list(search(query.text)) for query in targets.queries}
    items = {key: _items(hits, targets.by_query[key]) for key, hits in rankings.items()}
    values = _measure(items, targets)
    per_query = tuple(
        QueryResult(
            query_id=query.id,
            text=query.text,
            language=query.language,
            ndcg=values[query.id]["ndcg@10"],
            first_relevant=_first_relevant(items[query.id], targets.by_query[query.id]),
            top=rankings[query.id][0].uri if rankings[query.id] else None,
        )
        for query in targets.queries
    )
    groups: dict[str, list[dict[str, float]]] = defaultdict(list)
    for query in targets.queries:
        groups[query.language or UNKNOWN_LANGUAGE].append(values[query.id])
    by_language = {name: _means(rows) for name, rows in sorted(groups.items()) if name != UNKNOWN_LANGUAGE}
    return RetrievalReport(_means(list(values.values())), by_language, per_query, targets.unknown)


def _items(hits: Iterable[Hit], targets: Sequence[Target]) -> list[str]:
    """The ranking as names of documents and judged passages, each at its best place."""
    passages: dict[str, list[str]] = defaultdict(list)
    for target in targets:
        if target.passage:
            passages[target.uri].append(target.passage)
    ranking: dict[str, None] = {}
    for hit in hits:
        text = _squeezed(hit.text) if hit.uri in passages else ""
        held = [name for name in passages.get(hit.uri, ()) if _squeezed(name) in text]
        ranking.update(dict.fromkeys([_item(hit.uri, passage) for passage in held] or [_item(hit.uri, None)]))
    return list(ranking)


def _item(uri: str, passage: str | None) -> str:
    return f"{uri}\t{passage}" if passage else uri


def _squeezed(text: str) -> str:
    """Without white space: parsers break lines, and Japanese has none to begin with."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def _first_relevant(items: Sequence[str], targets: Sequence[Target]) -> int | None:
    relevant = {_item(target.uri, target.passage) for target in targets if target.score > 0}
    return next((rank for rank, item in enumerate(items, start=1) if item in relevant), None)


def _measure(items: dict[str, list[str]], targets: Targets) -> dict[str, dict[str, float]]:
    """Question id to each metric."""
    import ir_measures

    names = {ir_measures.parse_measure(measure): name for name, measure in METRICS.items()}
    qrels = [
        ir_measures.Qrel(key, _item(target.uri, target.passage), target.score)
        for key, wanted in targets.by_query.items()
        for target in wanted
    ]
    run = [
        ir_measures.ScoredDoc(key, item, float(len(ranking) - rank))
        for key, ranking in items.items()
        for rank, item in enumerate(ranking)
    ]
    values: dict[str, dict[str, float]] = {query.id: {} for query in targets.queries}
    for found in ir_measures.iter_calc(list(names), qrels, run):
        values[found.query_id][names[found.measure]] = float(found.value)
    return values


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) / len(rows) for name in METRICS}
