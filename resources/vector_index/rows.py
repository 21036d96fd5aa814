"""The rows of a collection: their schema, and record batches made to fit it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from resources.vector_index.errors import InvalidRows
from resources.vector_index.protocol import IndexSpec

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 8192  # rows of one transaction: about 25 MB with 384 dimensions
SEARCH_TEXT = "search_text"  # title, headings and text: what full-text search reads
HIT_COLUMNS = [
    *("chunk_id", "doc_id", "uri", "ordinal", "text", "title"),
    *("page", "headings", "language", "media_type"),
]
_SPEC_KEY = b"llm_assets.index_spec"


def collection_schema(spec: IndexSpec) -> pa.Schema:
    """The chunk columns, the vector and the derived search text; the spec travels in the metadata."""
    import pyarrow as pa

    text = pa.string()
    fields = [
        *((name, text) for name in ("chunk_id", "doc_id", "uri")),
        ("ordinal", pa.int32()),
        *((name, text) for name in ("text", "text_digest")),
        ("page", pa.int32()),
        ("headings", pa.list_(text)),
        *((name, text) for name in ("language", "title", "media_type", "row_digest")),
        ("vector", pa.list_(pa.float32(), spec.dimension)),
        (SEARCH_TEXT, text),
    ]
    return pa.schema(fields, metadata={_SPEC_KEY: json.dumps(asdict(spec)).encode()})


def spec_of(schema: pa.Schema) -> IndexSpec | None:
    """The spec a collection was made with; None if it is not one of ours."""
    stored = (schema.metadata or {}).get(_SPEC_KEY)
    return IndexSpec(**json.loads(stored)) if stored else None


def fitted(upserts: Iterable[pa.RecordBatch], spec: IndexSpec) -> Iterator[pa.Table]:
    """Cut batches into tables of `BATCH_ROWS` rows, each chunk_id once in a table (the last row wins).

    Raises:
        InvalidRows: a column is missing or of another type, a vector has another dimension or no direction.
    """
    import pyarrow as pa

    waiting: list[pa.Table] = []
    for batch in upserts:
        waiting.append(_conform(pa.table(batch), spec))
        while sum(table.num_rows for table in waiting) >= BATCH_ROWS:
            joined = pa.concat_tables(waiting)
            yield _last_of_each(joined.slice(0, BATCH_ROWS))
            waiting = [joined.slice(BATCH_ROWS)]
    rest = pa.concat_tables(waiting) if waiting else None
    if rest is not None and rest.num_rows:
        yield _last_of_each(rest)


def _conform(table: pa.Table, spec: IndexSpec) -> pa.Table:
    """The table with exactly the collection's columns and types."""
    import pyarrow as pa

    schema = collection_schema(spec)
    wanted = [name for name in schema.names if name != SEARCH_TEXT]
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise InvalidRows(f"rows lack the columns {', '.join(missing)}")
    table = table.select(wanted).append_column(SEARCH_TEXT, _search_text(table))
    try:
        table = table.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise InvalidRows(f"rows do not fit a collection of {spec.dimension} dimensions: {error}") from error
    _check_vectors(table, spec)
    return table


def _check_vectors(table: pa.Table, spec: IndexSpec) -> None:
    """A cosine needs a direction: null, zero, infinite or NaN vectors would be found at random."""
    import numpy as np

    for name in ("chunk_id", "vector"):
        if table.column(name).null_count:
            raise InvalidRows(f"{table.column(name).null_count} rows have no {name}")
    flat = table.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    norms = np.linalg.norm(flat.reshape(-1, spec.dimension), axis=1)
    bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if bad.size:
        first = table.column("chunk_id")[int(bad[0])].as_py()
        raise InvalidRows(
            f"{bad.size} vectors are zero or not finite, the first of chunk {first}: embed its text again"
        )


def _last_of_each(table: pa.Table) -> pa.Table:
    """Equal keys in one merge would become two rows, so only the last row of each key stays."""
    last = {key: row for row, key in enumerate(table.column("chunk_id").to_pylist())}
    return table if len(last) == table.num_rows else table.take(sorted(last.values()))


def _search_text(table: pa.Table) -> pa.Array:
    """Title and headings tell what a passage is about where its own words do not."""
    import pyarrow as pa

    columns = (table.column(name).to_pylist() for name in ("title", "headings", "text"))
    return pa.array([_joined(*row) for row in zip(*columns, strict=True)], pa.string())


def _joined(title: str | None, headings: list[str] | None, text: str | None) -> str:
    body = text or ""
    above = dict.fromkeys(part for part in (title, *(headings or ())) if part)
    return "\n".join([*above, body])
