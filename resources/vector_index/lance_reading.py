"""Reading one snapshot of a Lance collection: the halves of a search, and the check of what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from resources.vector_index.hits import Rows
from resources.vector_index.lance_writing import VECTOR_INDEX
from resources.vector_index.protocol import Verification
from resources.vector_index.rows import HIT_COLUMNS, SEARCH_TEXT

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from lancedb.query import LanceVectorQueryBuilder
    from lancedb.table import Table

# The graph compares quantised vectors, so more than are asked for are fetched and ordered by the exact ones.
REFINED, LEAST_REFINE = 100, 3
RECALL_AT = 10
_SEED = 7  # a verification repeats exactly


def by_text(table: Table, text: str, where: str | None, limit: int) -> Rows:
    """BM25 over title, headings and text; rows that the index does not cover yet are found too."""
    from lancedb.query import MatchQuery

    match = MatchQuery(text, SEARCH_TEXT)  # pyright: ignore[reportCallIssue] - its defaults are hidden from the checker
    query = table.search(match, query_type="fts").select([*HIT_COLUMNS, "_score"])
    found = (query.where(where) if where else query).limit(limit).to_arrow()
    return {row["chunk_id"]: row for row in found.to_pylist()}


def by_vector(table: Table, vector: np.ndarray, where: str | None, limit: int) -> Rows:
    """Cosine similarity."""
    found = _nearest(table, vector, [*HIT_COLUMNS, "_distance"], where, limit)
    return {row["chunk_id"]: row | {"_score": 1.0 - row.pop("_distance")} for row in found.to_pylist()}


def _nearest(
    table: Table, vector: Any, columns: Sequence[str], where: str | None, limit: int, *, exact: bool = False
) -> pa.Table:
    query = cast("LanceVectorQueryBuilder", table.search(vector, vector_column_name="vector", query_type="vector"))
    query = query.distance_type("cosine")
    query = query.bypass_vector_index() if exact else query.refine_factor(max(LEAST_REFINE, REFINED // limit))
    query = query.where(where) if where else query
    return query.select(list(columns)).limit(limit).to_arrow()


def pairs(table: Table, key: str, value: str) -> dict[str, str]:
    """One column to another, by a scan of the two."""
    found = table.search().select([key, value]).limit(None).to_arrow()
    return dict(zip(found[key].to_pylist(), found[value].to_pylist(), strict=True))


def verification(table: Table, expected: int, sample: int) -> Verification:
    """Count, look for duplicates, and search for sampled stored vectors with and without the index."""
    import numpy as np

    ids = table.search().select(["chunk_id"]).limit(None).to_arrow()["chunk_id"]
    picks = np.random.default_rng(_SEED).permutation(len(ids))[:sample]
    recall = _recall(table, sorted(int(pick) for pick in picks))
    duplicates = len(ids) - len(ids.unique())
    return Verification(len(ids), expected, duplicates, recall, len(picks))


def _recall(table: Table, offsets: list[int]) -> float:
    if not offsets or not any(index.name == VECTOR_INDEX for index in table.list_indices()):
        return 1.0  # no index: every search is the exact one
    vectors = table.take_offsets(offsets).select(["vector"]).to_arrow()["vector"].to_pylist()
    return sum(_overlap(table, vector) for vector in vectors) / len(vectors)


def _overlap(table: Table, vector: list[float]) -> float:
    """Share of the exact nearest that the index found; ties at the edge count as found."""
    exact = _nearest(table, vector, ["_distance"], None, RECALL_AT, exact=True)["_distance"].to_pylist()
    found = _nearest(table, vector, ["_distance"], None, RECALL_AT)["_distance"].to_pylist()
    edge = max(exact) + 1e-6
    return min(1.0, sum(distance <= edge for distance in found) / len(exact))
