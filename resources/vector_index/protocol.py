"""What every backend of the vector index promises.

A *collection* holds the chunks of one corpus in one shape (embedder, chunker, dimension). Every change makes a new
`Snapshot`: an immutable state of the collection that can be read for as long as it is kept. Which snapshot is
served is not the index's business: that pointer is moved by the caller once the new snapshot has been verified,
so a reader never sees half a change and a change that fails its check needs no undoing.

Writers of one collection must be serialised by the caller (a lock by the collection's name); readers need nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from resources.vector_index.filters import Where

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Mode = Literal["hybrid", "vector", "text"]


@dataclass(frozen=True, order=True)
class Snapshot:
    """An immutable, readable state of a collection.

    `version` is the backend's own number of that state; None where a collection is never changed in place.
    """

    collection: str
    version: int | None


@dataclass(frozen=True)
class IndexSpec:
    """The shape of a collection; a change of it needs a new collection.

    Attributes:
        dimension: length of the vectors.
        exact_below: below this many rows a vector search compares with every row: recall 1, some milliseconds.
        neighbours: links of a node in the HNSW graph (m).
        build_width: candidates weighed while the graph is built (ef_construction).
        shape: the backend's own settings of a collection that cannot be changed, as JSON; empty: its defaults.
        tuning: those that can be changed in place, as JSON; no part of the comparison of two specs.
    """

    dimension: int
    exact_below: int = 20_000
    neighbours: int = 20
    build_width: int = 300
    shape: str = ""
    tuning: str = field(default="", compare=False)


@dataclass(frozen=True)
class Hit:
    """A chunk that was found.

    `score` orders the hits of one search and is not comparable between searches or modes: the fused score in 0..1
    (hybrid), the cosine (vector), BM25 (text). `text_score` and `vector_score` are BM25 and cosine of the halves,
    None where that half did not find the chunk.
    """

    chunk_id: str
    doc_id: str
    uri: str
    ordinal: int
    text: str
    title: str | None
    page: int | None
    headings: tuple[str, ...]
    language: str
    media_type: str
    score: float
    text_score: float | None = None
    vector_score: float | None = None


@dataclass(frozen=True)
class Verification:
    """What a snapshot was found to hold.

    Attributes:
        count: rows in it.
        expected: rows that should be in it.
        duplicates: rows whose chunk_id occurs more than once.
        recall: share of the ten nearest rows by exact search that the index search found too, over `sampled`
            stored vectors; 1.0 for an empty snapshot.
        sampled: how many stored vectors were searched for.
    """

    count: int
    expected: int
    duplicates: int
    recall: float
    sampled: int

    def problems(self, minimum_recall: float = 0.95) -> list[str]:
        """What is wrong, in plain words; empty if the snapshot may be served."""
        found = []
        if self.count != self.expected:
            found.append(f"holds {self.count} chunks instead of {self.expected}")
        if self.duplicates:
            found.append(f"holds {self.duplicates} chunks more than once")
        if self.recall < minimum_recall:
            found.append(
                f"recall@10 against exact search is {self.recall:.3f} over {self.sampled} vectors, "
                f"below {minimum_recall:g}"
            )
        return found


@dataclass(frozen=True)
class Tuning:
    """A change of how a collection that exists is searched.

    Attributes:
        make: let every search use it.
        keep: it has been verified.
        undo: search as before.
    """

    make: Callable[[], None]
    keep: Callable[[], None]
    undo: Callable[[], None]


class VectorIndex(Protocol):
    """A backend. Every method raises `UnknownCollection` or `SnapshotGone` for what is not there."""

    def collections(self) -> list[str]:
        """The names of the collections, sorted."""
        ...

    def create(self, collection: str, spec: IndexSpec) -> Snapshot:
        """Make an empty collection; one that exists with an equal spec keeps its rows.

        What a killed writer left undone on its search indexes is done here.

        Raises:
            VectorIndexError: the name is not usable, or the collection has another spec.
        """
        ...

    def tuning(self, collection: str, spec: IndexSpec) -> Tuning | None:
        """What brings a collection's settings that can be changed in place up to a spec; None if they are so."""
        ...

    def drop(self, collection: str) -> None:
        """Remove a collection and its files; nothing happens if there is none."""
        ...

    def latest(self, collection: str) -> Snapshot | None:
        """The newest state, which a killed run may have left half-applied; None without such a collection."""
        ...

    def apply(
        self,
        collection: str,
        base: Snapshot | None,
        upserts: Iterable[pa.RecordBatch],
        delete_ids: Iterable[str],
    ) -> Snapshot:
        """Upsert rows by chunk_id, delete others, bring the search indexes up to date.

        Repeating it changes nothing. Killed in the middle it leaves whole batches behind: a difference computed
        against `latest` then leads to the same end.

        Args:
            collection: the collection.
            base: the state the difference was computed against, checked to be the latest; None: do not check.
            upserts: batches with the chunk columns and `vector` (float32, the spec's dimension).
            delete_ids: chunk ids; those that are not there are passed over.

        Raises:
            StaleBase: somebody else changed the collection since `base`.
            InvalidRows: rows that do not fit; batches before them are in.
        """
        ...

    def count(self, snapshot: Snapshot) -> int:
        """The number of rows."""
        ...

    def row_digests(self, snapshot: Snapshot) -> dict[str, str]:
        """chunk_id to row_digest of every row: what a difference is computed against."""
        ...

    def documents(self, snapshot: Snapshot) -> dict[str, str]:
        """chunk_id to doc_id of every row: what finds the chunks of a document."""
        ...

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
        """The best `k` chunks of a snapshot, best first.

        Args:
            snapshot: the state to search.
            text: the question as the user wrote it.
            vector: its embedding, shape (dimension,).
            mode: both halves fused, or one of them.
            k: hits at most.
            where: field to a value or several of them; see `resources.vector_index.filters`.
            dense_trust: 0..1, how far the embedder understands this question (`dense_trust()` estimates it);
                weighs the halves of a hybrid search.

        Raises:
            InvalidQuery: the mode lacks its text or vector, an unknown filter, a vector of another dimension.
        """
        ...

    def verify(self, snapshot: Snapshot, expected_count: int, sample: int = 64) -> Verification:
        """Count the rows and measure recall@10 of the index for `sample` stored vectors."""
        ...

    def restore(self, snapshot: Snapshot) -> Snapshot:
        """Make an older state the latest again, as a new snapshot; deletions since then are applied afterwards."""
        ...

    def forget(self, collection: str, ids: Collection[str], kept: Sequence[Snapshot]) -> Mapping[Snapshot, Snapshot]:
        """Write every kept snapshot and the latest anew without the rows `ids`.

        The old snapshots stay readable until `tidy(…, purge=True)`, which the caller runs once its pointers name the
        replacements; only then has the content left the disk. Safe to repeat after a kill.

        Returns:
            Old snapshot to its replacement, for each of `kept` and the latest.
        """
        ...

    def tidy(self, collection: str, kept: Sequence[Snapshot], *, purge: bool = False) -> Snapshot:
        """Merge small files and remove the states older than the oldest kept one.

        Does nothing while there is little to gain, unless `purge` asks for it at once, leftovers of killed writers
        included. Returns the latest state, which holds the same rows as before.
        """
        ...

    def publish(self, corpus: str, snapshot: Snapshot) -> None:
        """Let a corpus's name on the server lead to what is served, in one step; nothing where there is no server.

        Readers of this project follow the served pointer; the name is for everybody else. Safe to repeat.

        Raises:
            VectorIndexError: the name leads to something that is not this corpus's.
        """
        ...

    def published(self, corpus: str) -> Snapshot | None:
        """The state that the corpus's name leads to; None without such a name."""
        ...

    def health(self, collection: str) -> Mapping[str, str | int | float]:
        """What can be observed of the backend and of a collection in it; empty where nothing runs."""
        ...
