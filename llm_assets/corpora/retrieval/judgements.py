"""Questions and what answers them, as files in the BEIR layout.

    queries.jsonl     {"_id": "q1", "text": "When is the notice period …?", "language": "en"}    language is optional
    qrels/test.tsv    query-id  corpus-id  score  [passage]        tab-separated, with or without this header line

`corpus-id` is the path of a document below the source's folder (`contracts/lease.docx`), the `_id` of a document
of a BEIR corpus, or a document's whole uri. A score of 0 says "not relevant", higher is better.

`passage` narrows a judgement down to a place in the document: a short verbatim piece of it. A chunk then counts
only if it contains that piece, whatever the white space. Without it any chunk of the document counts. Ids of chunks
would not do: they change with the chunker.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

HEADER = ("query-id", "corpus-id", "score")
PREFERRED_SPLIT = "test.tsv"  # a BEIR set also has train and dev: only one of them is the evaluation


class EvaluationSetError(Exception):
    """The files cannot be used; the message names file and line."""


@dataclass(frozen=True)
class Query:
    """A question; `language` is an ISO 639-1 code or None."""

    id: str
    text: str
    language: str | None = None


@dataclass(frozen=True)
class Judgement:
    """How well a document (or the passage in it) answers a question. `document` is as written in the file."""

    query_id: str
    document: str
    score: int
    passage: str | None = None


@dataclass(frozen=True)
class EvaluationSet:
    """Questions with at least one relevant document, and all their judgements.

    `unjudged` counts questions without one: they cannot be answered rightly, so they are left out.
    """

    queries: tuple[Query, ...]
    judgements: tuple[Judgement, ...]
    unjudged: int = 0


def read_evaluation_set(folder: str | Path, storage_options: Mapping[str, Any] | None = None) -> EvaluationSet:
    """Read `queries.jsonl` and `qrels/test.tsv`, or all of `qrels/*.tsv` where there is no test.tsv.

    Args:
        folder: a local folder, or a URL that fsspec knows.
        storage_options: for that URL.

    Raises:
        EvaluationSetError: a file is missing, a line is broken, an id is used twice or is unknown.
    """
    from fsspec.core import url_to_fs

    files, root = url_to_fs(str(folder), **(storage_options or {}))
    queries = dict(_queries(_lines(files, f"{root}/queries.jsonl")))
    tables = sorted(files.glob(f"{root}/qrels/*.tsv"))
    tables = [path for path in tables if PurePosixPath(path).name == PREFERRED_SPLIT] or tables
    if not tables:
        raise EvaluationSetError(f"{folder}/qrels has no .tsv file with judgements: query-id, corpus-id, score")
    judgements = [judgement for path in tables for judgement in _judgements(_lines(files, path), queries)]
    answerable = {judgement.query_id for judgement in judgements if judgement.score > 0}
    if not answerable:
        raise EvaluationSetError(f"{folder}/qrels judges no document relevant (score above 0) to any question")
    kept = tuple(query for query in queries.values() if query.id in answerable)
    return EvaluationSet(kept, tuple(judgements), len(queries) - len(kept))


def _lines(files: Any, path: str) -> Iterator[tuple[str, str]]:
    """Place and text of each line that is not blank."""
    try:
        lines = files.read_text(path, encoding="utf-8-sig").split("\n")
    except FileNotFoundError as error:
        raise EvaluationSetError(f"{path} is missing: an evaluation has queries.jsonl and qrels/*.tsv") from error
    except UnicodeDecodeError as error:
        raise EvaluationSetError(f"{path} is not UTF-8: {error}") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path}:{number}", line.rstrip("\r")


def _queries(lines: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Query]]:
    seen: set[str] = set()
    for place, line in lines:
        try:
            row = json.loads(line)
            query = Query(str(row["_id"]), row["text"], row.get("language"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EvaluationSetError(f'{place}: not a question like {{"_id": "q1", "text": "…"}}') from error
        if not isinstance(query.text, str) or not query.text.strip():
            raise EvaluationSetError(f"{place}: question '{query.id}' has no text")
        if query.id in seen:
            raise EvaluationSetError(f"{place}: question id '{query.id}' is used twice")
        seen.add(query.id)
        yield query.id, query


def _judgements(lines: Iterable[tuple[str, str]], queries: Mapping[str, Query]) -> Iterator[Judgement]:
    for place, line in lines:
        query_id, document, score, *passage = _fields(place, line)
        if (query_id, document, score) == HEADER:
            continue
        if query_id not in queries:
            raise EvaluationSetError(f"{place}: question '{query_id}' is not in queries.jsonl")
        if not score.lstrip("-").isdigit():
            raise EvaluationSetError(f"{place}: score '{score}' is not a whole number")
        yield Judgement(query_id, document, int(score), (passage[0] or None) if passage else None)


def _fields(place: str, line: str) -> list[str]:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) not in (3, 4):
        raise EvaluationSetError(
            f"{place}: {len(fields)} tab-separated fields instead of query-id, corpus-id, score [, passage]"
        )
    return fields
