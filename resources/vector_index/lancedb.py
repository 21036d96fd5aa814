"""The embedded default: a collection is a Lance table, a snapshot is one version of it.

Every write is one Lance transaction, so a killed writer leaves whole batches; every reader opens one version, so
what it reads cannot change under it. Small collections are searched exactly, large ones through an HNSW graph.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from resources.vector_index import lance_reading, lance_upkeep, lance_writing
from resources.vector_index.checks import (
    checked_mode,
    checked_name,
    checked_spec,
    checked_text,
    checked_vector,
    numbered,
)
from resources.vector_index.errors import (
    SnapshotGone,
    StaleBase,
    UnknownCollection,
    VectorIndexError,
)
from resources.vector_index.filters import Where, conditions, sql
from resources.vector_index.fusion import depth, fuse
from resources.vector_index.hits import Rows, hits, scores
from resources.vector_index.protocol import Hit, IndexSpec, Mode, Snapshot, Verification
from resources.vector_index.rows import collection_schema, fitted, spec_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from lancedb.db import DBConnection
    from lancedb.table import Table

_OPEN_SNAPSHOTS = 16


class LanceIndex:
    """A `VectorIndex` in a folder or a bucket.

    Args:
        root: folder, or URL such as `s3://bucket/prefix`, that holds the collections.
        storage_options: credentials and settings of the bucket, as Lance takes them.
    """

    def __init__(self, root: str | Path, *, storage_options: Mapping[str, str] | None = None) -> None:
        self.root = str(root)
        self._storage_options = dict(storage_options or {})
        self._opened: OrderedDict[Snapshot, Table] = OrderedDict()
        self._opening = Lock()

    @cached_property
    def _database(self) -> DBConnection:
        # Index statistics otherwise load all centroids, and say so on every call.
        os.environ.setdefault("LANCE_INCLUDE_VECTOR_CENTROIDS", "false")
        import lancedb

        return lancedb.connect(self.root, storage_options=self._storage_options or None)

    def collections(self) -> list[str]:
        """The names of the collections, sorted."""
        if "://" not in self.root and not Path(self.root).is_dir():
            return []
        return sorted(self._database.list_tables(limit=100_000).tables)

    def create(self, collection: str, spec: IndexSpec) -> Snapshot:
        """Make an empty collection, or find it there with an equal spec."""
        checked_name(collection)
        if collection in self.collections():
            table = self._writable(collection)
        else:
            table = self._database.create_table(collection, schema=collection_schema(spec))
        checked_spec(collection, spec_of(table.schema), spec)
        lance_writing.refresh_indexes(table, spec)
        return Snapshot(collection, table.version)

    def tuning(self, collection: str, spec: IndexSpec) -> None:
        """Nothing can be changed in place."""

    def drop(self, collection: str) -> None:
        """Remove a collection and its files."""
        with self._opening:
            for snapshot in [key for key in self._opened if key.collection == collection]:
                del self._opened[snapshot]
        if collection in self.collections():
            self._database.drop_table(collection)

    def latest(self, collection: str) -> Snapshot | None:
        """The newest version; None without such a collection."""
        try:
            return Snapshot(collection, self._writable(collection).version)
        except UnknownCollection:
            return None

    def apply(
        self,
        collection: str,
        base: Snapshot | None,
        upserts: Iterable[pa.RecordBatch],
        delete_ids: Iterable[str],
    ) -> Snapshot:
        """Upsert, delete, bring the search indexes up to date; see `VectorIndex.apply`."""
        table = self._writable(collection)
        if base is not None and base != Snapshot(collection, table.version):
            raise StaleBase(f"'{collection}' is at version {table.version}, the difference starts at {base}")
        spec = self._spec(table)
        lance_writing.upsert(table, fitted(upserts, spec))
        lance_writing.delete(table, delete_ids)
        lance_writing.refresh_indexes(table, spec)
        return Snapshot(collection, table.version)

    def count(self, snapshot: Snapshot) -> int:
        """The number of rows."""
        with self._reading(snapshot) as table:
            return table.count_rows()

    def row_digests(self, snapshot: Snapshot) -> dict[str, str]:
        """chunk_id to row_digest of every row."""
        with self._reading(snapshot) as table:
            return lance_reading.pairs(table, "chunk_id", "row_digest")

    def documents(self, snapshot: Snapshot) -> dict[str, str]:
        """chunk_id to doc_id of every row."""
        with self._reading(snapshot) as table:
            return lance_reading.pairs(table, "chunk_id", "doc_id")

    def search(
        self,
        snapshot: Snapshot,
        *,
        text: str | None = None,
        vector: np.ndarray | Sequence[float] | None = None,
        mode: Mode = "hybrid",
        k: int = 10,
        where: Where | None = None,
        dense_trust: float = 1.0,
    ) -> list[Hit]:
        """The best `k` chunks, best first; see `VectorIndex.search`."""
        checked_mode(mode)
        predicate, limit = sql(conditions(where)), depth(k) if mode == "hybrid" else k
        texts: Rows = {}
        vectors: Rows = {}
        with self._reading(snapshot) as table:
            if mode != "vector":
                texts = lance_reading.by_text(table, checked_text(text, mode), predicate, limit)
            if mode != "text":
                checked = checked_vector(vector, self._spec(table).dimension, mode)
                vectors = lance_reading.by_vector(table, checked, predicate, limit)
        ranked = scores(texts or vectors)
        if mode == "hybrid":
            ranked = fuse(scores(texts), scores(vectors), dense_trust)
        return hits(dict(islice(ranked.items(), k)), texts, vectors)

    def verify(self, snapshot: Snapshot, expected_count: int, sample: int = 64) -> Verification:
        """Count, duplicates, and recall@10 of the graph against exact search."""
        with self._reading(snapshot) as table:
            return lance_reading.verification(table, expected_count, sample)

    def restore(self, snapshot: Snapshot) -> Snapshot:
        """Make an older version the latest again; no data is copied."""
        self._at(snapshot)
        table = self._writable(snapshot.collection)
        if table.version != snapshot.version:
            table.restore(numbered(snapshot))
        return Snapshot(snapshot.collection, table.version)

    def forget(self, collection: str, ids: Collection[str], kept: Sequence[Snapshot]) -> Mapping[Snapshot, Snapshot]:
        """Write the kept versions and the latest anew without some rows; see `VectorIndex.forget`."""
        table = self._writable(collection)
        spec, replaced = self._spec(table), {}
        for old in sorted({*kept, Snapshot(collection, table.version)}):
            lance_upkeep.rewrite(table, self._at(old), frozenset(ids))
            lance_writing.refresh_indexes(table, spec)
            replaced[old] = Snapshot(collection, table.version)
        return replaced

    def tidy(self, collection: str, kept: Sequence[Snapshot], *, purge: bool = False) -> Snapshot:
        """Merge small files, remove versions older than the oldest kept; see `VectorIndex.tidy`."""
        table = self._writable(collection)
        lance_upkeep.prune(table, {*map(numbered, kept), table.version}, purge=purge)
        return Snapshot(collection, table.version)

    def publish(self, corpus: str, snapshot: Snapshot) -> None:
        """Nobody reads a folder by a corpus's name: the served pointer is all there is."""

    def published(self, corpus: str) -> Snapshot | None:
        """There are no such names."""
        return None

    def health(self, collection: str) -> Mapping[str, str | int | float]:
        """Nothing runs."""
        return {}

    def _writable(self, collection: str) -> Table:
        """The table at its newest version."""
        try:
            return self._database.open_table(collection)
        except ValueError as error:
            raise UnknownCollection(
                f"no collection '{collection}' in {self.root}; there are: {', '.join(self.collections()) or 'none'}"
            ) from error

    def _at(self, snapshot: Snapshot) -> Table:
        """The table at the snapshot's version; open ones are kept, because opening costs as much as a search."""
        with self._opening:
            table = self._opened.pop(snapshot, None) or self._checkout(snapshot)
            self._opened[snapshot] = table
            while len(self._opened) > _OPEN_SNAPSHOTS:
                self._opened.popitem(last=False)
        return table

    @contextmanager
    def _reading(self, snapshot: Snapshot) -> Iterator[Table]:
        """The table at the snapshot; files that vanish under an open one mean that it was removed meanwhile."""
        try:
            yield self._at(snapshot)
        except RuntimeError as error:
            if "Not found" not in str(error):
                raise
            with self._opening:
                self._opened.pop(snapshot, None)
            raise _gone(snapshot) from error

    def _checkout(self, snapshot: Snapshot) -> Table:
        table = self._writable(snapshot.collection)
        try:
            table.checkout(numbered(snapshot))
        except ValueError as error:
            raise _gone(snapshot) from error
        return table

    def _spec(self, table: Table) -> IndexSpec:
        spec = spec_of(table.schema)
        if spec is None:
            raise VectorIndexError(f"table '{table.name}' in {self.root} is not a collection of this project")
        return spec


def _gone(snapshot: Snapshot) -> SnapshotGone:
    return SnapshotGone(f"version {snapshot.version} of '{snapshot.collection}' was removed; read the served one")
