"""Where the sample tenant's files lie, and how its questions are read."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "dbt_like_configs" / "sample"
DOCUMENTS = SAMPLE / "legal" / "documents"
EVALUATION = SAMPLE / "legal" / "evaluation"


@dataclass(frozen=True)
class Query:
    """One question of the retrieval test."""

    id: str
    text: str
    language: str


@dataclass(frozen=True)
class Relevance:
    """One line of the qrels: `passage` stands in the relevant passage of the document `path`."""

    query_id: str
    path: str
    score: int
    passage: str


def read_queries() -> list[Query]:
    lines = (EVALUATION / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return [Query(row["_id"], row["text"], row["language"]) for row in map(json.loads, lines)]


def read_relevances() -> list[Relevance]:
    with (EVALUATION / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Relevance(row["query-id"], row["corpus-id"], int(row["score"]), row["passage"]) for row in rows]
