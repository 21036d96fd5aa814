"""Reading one state of a collection on the server: the halves of a search, and scans of all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import UUID

from resources.vector_index.filters import Condition
from resources.vector_index.hits import Rows
from resources.vector_index.rows import HIT_COLUMNS
from resources.vector_index.weaviate_states import STATE_ID, VALIDITY, States, View
from resources.vector_index.words import comparable

if TYPE_CHECKING:
    import numpy as np
    from weaviate.collections import Collection

    from resources.vector_index.weaviate_handle import Handle

_HALVES = ThreadPoolExecutor(8, thread_name_prefix="weaviate-search")  # a hybrid search asks for both at once
PAGE = 2000  # rows of one page of a scan
_COLUMNS = [*HIT_COLUMNS, *VALIDITY]

Found = list[tuple[dict[str, Any], float]]  # rows and scores, best first
Ask = Callable[[Any, int], Found]  # given a filter and a limit


class Halves:
    """Both halves of a search of one state."""

    def __init__(self, handle: Handle, view: View, states: States, filters: Sequence[Condition], limit: int) -> None:
        self._state = (handle, view, states)
        self._filters, self._limit = filters, limit

    def found(self, text: str | None, vector: np.ndarray | None) -> tuple[Rows, Rows]:
        """What words and vectors find; a half that is not asked for finds nothing."""
        if any(not each.values for each in self._filters):
            return {}, {}  # a field without values holds for no row
        if text is not None and vector is not None:
            by_text = _HALVES.submit(self._by_text, text)
            vectors = self._by_vector(vector)
            return by_text.result(), vectors
        return (self._by_text(text) if text is not None else {}), (
            self._by_vector(vector) if vector is not None else {}
        )

    def _by_text(self, text: str) -> Rows:
        return by_text(*self._state, text, self._filters, self._limit)

    def _by_vector(self, vector: np.ndarray) -> Rows:
        return by_vector(*self._state, vector, self._filters, self._limit)


def by_text(handle: Handle, view: View, states: States, text: str, where: Sequence[Condition], limit: int) -> Rows:
    """BM25 over title, headings and text."""
    from weaviate.classes.query import MetadataQuery

    words = comparable(text)
    if not words.strip():
        return {}

    def ask(filters: Any, most: int) -> Found:
        def run(rows: Collection) -> Any:
            return rows.query.bm25(
                words,
                query_properties=["search_text"],
                filters=filters,
                limit=most,
                return_properties=_COLUMNS,
                return_metadata=MetadataQuery(score=True),
            )

        return [(item.properties, item.metadata.score) for item in handle.run("search", run).objects]

    return _seen(ask, view, states, where, limit)


def by_vector(
    handle: Handle, view: View, states: States, vector: np.ndarray, where: Sequence[Condition], limit: int
) -> Rows:
    """Cosine similarity."""

    def ask(filters: Any, most: int) -> Found:
        return [(row, 1.0 - distance) for row, distance in nearest(handle, vector, filters, most, _COLUMNS)]

    return _seen(ask, view, states, where, limit)


def nearest(handle: Handle, vector: Any, filters: Any, limit: int, columns: list[str]) -> Found:
    """Rows and cosine distances, nearest first."""
    from weaviate.classes.query import MetadataQuery

    def run(rows: Collection) -> Any:
        return rows.query.near_vector(
            vector,
            target_vector=handle.settings.vector_name,
            filters=filters,
            limit=limit,
            return_properties=columns,
            return_metadata=MetadataQuery(distance=True),
        )

    return [(item.properties, item.metadata.distance) for item in handle.run("search", run).objects]


def _seen(ask: Ask, view: View, states: States, where: Sequence[Condition], limit: int) -> Rows:
    """The best rows that the state shows.

    Nearly all rows are shown, and the server's filter costs more than the whole search, so a few more rows are
    asked for and the others left out, and twice as many where that leaves too few; only then does the server filter.
    """
    wanted, shown = user_filter(where), []
    for most in (limit + max(2, limit // 5), 2 * limit + 10) if states.ended else (limit,):
        found = ask(wanted, most)
        shown = [(row, score) for row, score in found if view.shows(row)]
        if len(shown) >= limit or len(found) < most:
            break
    else:
        shown = ask(view.filter() if wanted is None else view.filter() & wanted, limit)
    kept = [(row, score) for row, score in shown if _begins(row, where)]
    return {row["chunk_id"]: row | {"_score": score} for row, score in kept[:limit]}


def user_filter(where: Sequence[Condition]) -> Any:
    """A filter of the server; None where nothing is filtered. `*` and `?` in a prefix match too much: `_begins`."""
    from weaviate.classes.query import Filter

    if not where:
        return None
    return Filter.all_of([_one(condition) for condition in where])


def _one(condition: Condition) -> Any:
    from weaviate.classes.query import Filter

    field = Filter.by_property(condition.column)
    if not condition.prefix:
        return field.contains_any(list(condition.values))
    return Filter.any_of([field.like(f"{value}*") for value in condition.values])


def _begins(row: dict[str, Any], where: Sequence[Condition]) -> bool:
    return all(row[each.column].startswith(each.values) for each in where if each.prefix)


def count(handle: Handle, view: View) -> int:
    """The number of rows of a state."""

    def run(rows: Collection) -> int:
        return rows.aggregate.over_all(total_count=True, filters=view.filter()).total_count or 0

    return handle.run("count", run)


def scan(handle: Handle, view: View | None, columns: Sequence[str], *, vectors: bool = False) -> Iterator[Any]:
    """Every row of a state, or of the collection, as the client's objects; in no order."""
    wanted, after = [*dict.fromkeys([*columns, *VALIDITY])], UUID(int=0)
    while True:

        def page(rows: Collection, start: UUID = after) -> Any:
            return rows.query.fetch_objects(
                limit=PAGE, after=start, return_properties=wanted, include_vector=vectors
            ).objects

        found = handle.run("read", page)
        for item in found:
            if item.uuid != STATE_ID and (view is None or view.shows(item.properties)):
                yield item
        if len(found) < PAGE:
            return
        after = found[-1].uuid


def pairs(handle: Handle, view: View, value: str) -> dict[str, str]:
    """chunk_id to one column; a chunk that a killed writer left twice counts as it was written last."""
    found: dict[str, tuple[int, str]] = {}
    for item in scan(handle, view, ["chunk_id", value]):
        key, since = item.properties["chunk_id"], item.properties["valid_from"]
        if key not in found or found[key][0] < since:
            found[key] = (since, item.properties[value])
    return {key: column for key, (_, column) in found.items()}
