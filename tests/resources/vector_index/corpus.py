"""Chunks for tests: real columns, and vectors that are near each other exactly when their topics are equal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from resources.digests import digest, digest_json

DIMENSION = 16
TOPICS = ("lease", "salary", "recall", "privacy", "delivery", "insurance", "travel", "software")


def topic_vector(topic: str, variation: str = "") -> np.ndarray:
    """A unit vector; equal topics are about 0.95 alike, different ones about 0."""
    vector = _direction(topic) + 0.2 * _direction(variation)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _direction(name: str) -> np.ndarray:
    vector = np.random.default_rng(int(digest(name)[:8], 16)).standard_normal(DIMENSION)
    return vector / np.linalg.norm(vector)


def chunk(number: int, *, text: str | None = None, topic: str | None = None, **columns: Any) -> dict[str, Any]:
    """One chunk; its identity is its number, whatever its text."""
    topic = topic or TOPICS[number % len(TOPICS)]
    text = text if text is not None else f"Clause {number} about {topic}."
    row = {
        "chunk_id": f"c{number:06d}",
        "doc_id": f"d{number // 5:05d}",
        "uri": f"documents/{topic}/{number // 5:05d}.md",
        "ordinal": number % 5,
        "text": text,
        "text_digest": digest(text),
        "page": None,
        "headings": [],
        "language": "en",
        "title": None,
        "media_type": "text/markdown",
    } | columns
    return row | {"row_digest": digest_json(row), "vector": topic_vector(topic, text)}


def chunks(numbers: Iterable[int], **columns: Any) -> list[dict[str, Any]]:
    return [chunk(number, **columns) for number in numbers]


def batches(rows: Sequence[dict[str, Any]], size: int = 1000) -> list[pa.RecordBatch]:
    """Rows as record batches, as the tables of a corpus deliver them."""
    text = pa.string()
    names = ("chunk_id", "doc_id", "uri", "text", "text_digest", "language", "title", "media_type", "row_digest")
    types = dict.fromkeys(names, text) | {
        "ordinal": pa.int32(),
        "page": pa.int32(),
        "headings": pa.list_(text),
        "vector": pa.list_(pa.float32(), DIMENSION),
    }
    schema = pa.schema([(name, types[name]) for name in types])
    return pa.Table.from_pylist(list(rows), schema=schema).to_batches(size)


def digests(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """What a snapshot that holds exactly `rows` answers to `row_digests`."""
    return {row["chunk_id"]: row["row_digest"] for row in rows}
