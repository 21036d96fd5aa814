"""Judgements meet the corpus: which of its documents, by uri, each question is to find."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from llm_assets.corpora.retrieval.judgements import EvaluationSet, EvaluationSetError, Judgement, Query

SHOWN = 3


@dataclass(frozen=True)
class Target:
    """A document to find, by uri, or the chunk of it that contains `passage`."""

    uri: str
    score: int
    passage: str | None


@dataclass(frozen=True)
class Targets:
    """What each question is to find.

    Attributes:
        queries: the questions, in their order.
        by_query: question id to what answers it.
        unknown: judged documents that the corpus does not have. Their judgements stay: nothing can find them, so
            a document that was lost or quarantined costs points instead of vanishing from the measure.
    """

    queries: tuple[Query, ...]
    by_query: dict[str, tuple[Target, ...]]
    unknown: tuple[str, ...]


def resolve(judged: EvaluationSet, uris: Collection[str], roots: Sequence[str]) -> Targets:
    """Find the document that each judgement means.

    Args:
        judged: the evaluation set.
        uris: of all documents of the corpus, those that could not be parsed included.
        roots: paths of the corpus' sources as its uris begin with them.

    Raises:
        EvaluationSetError: one name fits documents of two sources, or no judged document is in the corpus.
    """
    known = {_normal(uri): uri for uri in uris}
    named = dict.fromkeys(judgement.document for judgement in judged.judgements)
    found = {name: _find(name, known, roots) for name in named}
    unknown = tuple(name for name, uri in found.items() if uri is None)
    if len(unknown) == len(found):
        raise EvaluationSetError(
            f"none of the {len(found)} judged documents is in the corpus, e.g. '{unknown[0]}'. corpus-id is a path "
            f"below {' or '.join(roots)}, or the _id of a BEIR corpus; the corpus has, e.g., {_examples(uris)}"
        )
    by_query: dict[str, list[Target]] = {query.id: [] for query in judged.queries}
    for judgement in judged.judgements:
        if judgement.query_id in by_query:
            by_query[judgement.query_id].append(_target(judgement, found[judgement.document]))
    return Targets(judged.queries, {key: tuple(value) for key, value in by_query.items()}, unknown)


def _find(name: str, known: dict[str, str], roots: Sequence[str]) -> str | None:
    candidates = [name, *(form for root in roots for form in (f"{root}/{name}", f"{root}/corpus.jsonl#{name}"))]
    found = {known[_normal(candidate)] for candidate in candidates if _normal(candidate) in known}
    if len(found) > 1:
        raise EvaluationSetError(
            f"'{name}' is the name of several documents: write the uri: {', '.join(sorted(found))}"
        )
    return found.pop() if found else None


def _target(judgement: Judgement, uri: str | None) -> Target:
    return Target(uri or judgement.document, judgement.score, judgement.passage)


def _normal(uri: str) -> str:
    """File systems differ in how they compose accents and voiced kana."""
    return unicodedata.normalize("NFC", uri)


def _examples(uris: Collection[str]) -> str:
    return ", ".join(f"'{uri}'" for uri in sorted(uris)[:SHOWN]) or "no documents"
