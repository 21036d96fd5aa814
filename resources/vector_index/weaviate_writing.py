"""Changing a collection on the server: fixed batches, a bounded number at once, every refused object accounted for.

A batch can be sent again at any time: the ids of its objects are deterministic. What the server refuses is tried
again where the cause may pass, and otherwise named.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from resources.digests import digest
from resources.vector_index.errors import InvalidRows, RowsRefused, VectorIndexError
from resources.vector_index.weaviate_connection import STREAMING_VERSION, full, is_full
from resources.vector_index.weaviate_schema import PARTS
from resources.vector_index.weaviate_states import View, beginning, row_id
from resources.vector_index.words import comparable

if TYPE_CHECKING:
    import pyarrow as pa
    from weaviate.classes.data import DataObject
    from weaviate.collections import Collection

    from resources.vector_index.weaviate_handle import Handle

LOOKED_UP = 500  # chunk ids of one question
ATTEMPTS, PAUSE = 3, 0.5  # for objects that were refused one by one
NAMED = 5  # refused chunks that a message names
AT_ONCE = 8  # small updates at once


def _without_content(record: logging.LogRecord) -> bool:
    """The client logs refused objects with their content, as a mapping; `_send` says what is needed."""
    return not isinstance(record.msg, dict)


logging.getLogger("weaviate-client").addFilter(_without_content)

T = TypeVar("T")
Current = list[tuple[str, str, int]]  # chunk_id, row_digest and the state that each row began with


def objects(handle: Handle, table: pa.Table, number: int) -> list[DataObject[Any, Any]]:
    """The rows of a table as the client's objects, beginning with the state `number`."""
    from weaviate.classes.data import DataObject

    vectors = table.column("vector").combine_chunks()
    matrix = vectors.flatten().to_numpy(zero_copy_only=False).reshape(table.num_rows, -1)
    name, vector_name, validity = handle.name, handle.settings.vector_name, beginning(number)
    return [
        DataObject(
            properties=_properties(row) | validity,
            uuid=row_id(name, row["chunk_id"], number),
            vector={vector_name: matrix[place]},
        )
        for place, row in enumerate(table.drop_columns(["vector"]).to_pylist())
    ]


def _properties(row: dict[str, Any]) -> dict[str, Any]:
    row["search_text"] = comparable(row["search_text"])
    row["part"] = int(digest(row["chunk_id"])[:8], 16) % PARTS
    return present(row)


def present(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that hold something: the server takes no empty ones."""
    return {name: value for name, value in row.items() if value is not None and value != []}


def insert(handle: Handle, batches: Iterable[Sequence[DataObject[Any, Any]]]) -> None:
    """Write batches, `concurrent_requests` at once; an object that is there with its id is replaced.

    Raises:
        RowsRefused: the server refuses objects, each named up to `NAMED`.
        InvalidRows: vectors of another dimension than the server's.
        IndexFull: its disk or memory is full.
        VectorIndexError: the tenant is not active.
    """
    _at_once(lambda batch: _send(handle, batch), batches, handle.server.settings.concurrent_requests)


def _at_once(work: Callable[[T], object], items: Iterable[T], workers: int) -> None:
    """Work through items in order, never holding more than the workers have in hand and one each in waiting."""
    with ThreadPoolExecutor(workers) as pool:
        running: deque[Future[object]] = deque()
        try:
            for item in items:
                running.append(pool.submit(work, item))
                if len(running) >= 2 * workers:
                    running.popleft().result()
            while running:
                running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def _send(handle: Handle, batch: Sequence[DataObject[Any, Any]]) -> None:
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2**attempt)
        refused = _sent(handle, batch)
        if not refused:
            return
        _raise_if_permanent(handle, batch, refused)
        batch, reason = [batch[place] for place in sorted(refused)], next(iter(refused.values()))
    raise RowsRefused(
        f"'{handle.name}': the server refused {len(batch)} chunks {ATTEMPTS} times: "
        f"{_named(batch, range(len(batch)))}: {reason[:300]}"
    )


def _sent(handle: Handle, batch: Sequence[DataObject[Any, Any]]) -> dict[int, str]:
    """Send a batch once. Returns place to message of what was refused."""
    from weaviate.exceptions import WeaviateInsertManyAllFailedError

    def run(rows: Collection) -> dict[int, str]:
        try:
            sent = rows.data.ingest(batch) if _streams(handle) else rows.data.insert_many(batch)
        except WeaviateInsertManyAllFailedError as error:
            return dict.fromkeys(range(len(batch)), error.message)
        return {place: refused.message for place, refused in sent.errors.items()}

    return handle.run("write to", run)


def _streams(handle: Handle) -> bool:
    settings = handle.server.settings
    return settings.server_side_batching and handle.server.version >= STREAMING_VERSION


def _raise_if_permanent(handle: Handle, batch: Sequence[DataObject[Any, Any]], refused: dict[int, str]) -> None:
    """Trying again is of no use where the cause stays."""
    for place, message in refused.items():
        low = message.lower()
        if is_full(low):
            raise full(f"write to '{handle.name}'", message[:300])
        if "tenant" in low and ("active" in low or "not found" in low):
            raise VectorIndexError(f"'{handle.name}': the tenant is not active; activate it and run again: {message}")
        if "vector" in low and ("length" in low or "dimension" in low):
            raise InvalidRows(
                f"'{handle.name}': the server holds vectors of another dimension; {_named(batch, [place])}: {message}"
            )


def _named(batch: Sequence[DataObject[Any, Any]], places: Sequence[int]) -> str:
    names = [str((batch[place].properties or {}).get("chunk_id", batch[place].uuid)) for place in places]
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest


def upsert(handle: Handle, tables: Iterable[pa.Table], view: View, *, empty: bool) -> int:
    """Let rows begin with the state of `view`, and those that they replace end with it.

    Rows that are there with an equal digest are passed over. Returns how many rows ended.

    Args:
        handle: the collection.
        tables: rows that fit it, each chunk_id once in a table.
        view: the state that is written.
        empty: nothing was ever written, so there is nothing to replace.
    """
    ended = 0

    def changed(table: pa.Table) -> Iterator[list[DataObject[Any, Any]]]:
        nonlocal ended
        for part in _parts(table, handle.server.settings.batch_size):
            before = [] if empty else current(handle, view, part.column("chunk_id").to_pylist())
            if kept := _without(part, {(key, row_digest) for key, row_digest, _ in before}):
                yield objects(handle, kept, view.number)
                keys = set(kept.column("chunk_id").to_pylist())
                replaced = [row for row in before if row[0] in keys and row[2] < view.number]
                ended += end(handle, replaced, view.number)

    for table in tables:  # one after the other: a chunk that comes again in a later table is stored as it came last
        insert(handle, changed(table))
    return ended


def _parts(table: pa.Table, size: int) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, size):
        yield table.slice(start, size)


def _without(table: pa.Table, present: set[tuple[str, str]]) -> pa.Table | None:
    """The rows that are not there yet; None if all are."""
    if not present:
        return table
    keys = zip(table.column("chunk_id").to_pylist(), table.column("row_digest").to_pylist(), strict=True)
    places = [place for place, key in enumerate(keys) if key not in present]
    return table.take(places) if places else None


def delete(handle: Handle, ids: Iterable[str], view: View) -> int:
    """Let rows end with the state of `view`. Returns how many."""
    rest, ended = iter(ids), 0
    while part := list(islice(rest, LOOKED_UP)):
        ended += end(handle, current(handle, view, part), view.number)
    return ended


def current(handle: Handle, view: View, chunk_ids: Sequence[str]) -> Current:
    """The rows of some chunks in a state."""
    from weaviate.classes.query import Filter

    found: Current = []
    for start in range(0, len(chunk_ids), LOOKED_UP):
        wanted = Filter.by_property("chunk_id").contains_any(list(chunk_ids[start : start + LOOKED_UP]))

        def run(rows: Collection, wanted: Any = wanted) -> Any:
            columns = ["chunk_id", "row_digest", "valid_from"]
            return rows.query.fetch_objects(filters=wanted & view.filter(), limit=10_000, return_properties=columns)

        rows = [item.properties for item in handle.run("read", run).objects]
        found += [(row["chunk_id"], row["row_digest"], row["valid_from"]) for row in rows]
    return found


def end(handle: Handle, rows: Current, number: int) -> int:
    """Let rows end with a state. Returns how many."""
    patch(handle, [row_id(handle.name, key, since) for key, _, since in rows], {"valid_to": number})
    return len(rows)


def patch(handle: Handle, ids: Sequence[UUID], properties: dict[str, int]) -> None:
    """Change the validity of rows; their vectors stay as they are."""

    def one(key: UUID) -> None:
        handle.run("change", lambda rows: rows.data.update(key, properties=properties))

    _at_once(one, ids, min(AT_ONCE, max(1, len(ids))))


def wait_until_indexed(handle: Handle) -> None:
    """Where the server indexes vectors later (`ASYNC_INDEXING`), wait until it has.

    Raises:
        VectorIndexError: it makes no progress for as long as a busy server is tried again.
    """
    patience, least, since = handle.server.settings.retry_seconds, None, time.monotonic()
    while waiting := _queued(handle):
        if least is None or waiting < least:
            least, since = waiting, time.monotonic()
        if time.monotonic() - since > patience:
            raise VectorIndexError(f"'{handle.name}': {waiting} vectors wait for the server's index without progress")
        time.sleep(0.1)


def _queued(handle: Handle) -> int:
    nodes = handle.server.call(
        f"look at the shards of '{handle.name}'",
        lambda client: client.cluster.nodes(handle.class_name, output="verbose"),
    )
    own = (None, handle.tenant) if handle.tenant else ()
    shards = [shard for node in nodes for shard in node.shards if not own or shard.name in own]
    return sum(shard.vector_queue_length for shard in shards)
