"""From the rows that the halves of a search found to its hits."""

from __future__ import annotations

from typing import Any

from resources.vector_index.protocol import Hit
from resources.vector_index.rows import HIT_COLUMNS

Rows = dict[str, dict[str, Any]]  # chunk_id to its columns and `_score`, best first


def scores(rows: Rows) -> dict[str, float]:
    """chunk_id to score, in their order."""
    return {key: row["_score"] for key, row in rows.items()}


def hits(ranked: dict[str, float], text: Rows, vector: Rows) -> list[Hit]:
    """The rows behind fused (or single) scores, in their order."""
    return [
        _hit((text.get(key) or vector[key]), score, text.get(key), vector.get(key)) for key, score in ranked.items()
    ]


def _hit(row: dict[str, Any], score: float, text: dict[str, Any] | None, vector: dict[str, Any] | None) -> Hit:
    columns: dict[str, Any] = {name: row.get(name) for name in HIT_COLUMNS}
    columns["headings"] = tuple(row.get("headings") or ())
    return Hit(
        **columns,
        score=score,
        text_score=text["_score"] if text else None,
        vector_score=vector["_score"] if vector else None,
    )
