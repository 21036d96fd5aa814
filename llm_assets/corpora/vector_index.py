"""The chunks table becomes a served collection: a small change is a delta, a change of shape a new collection.

The candidate is built beside what is served, verified and evaluated; only then is the pointer in the state database
moved. A run that is killed leaves the pointer where it was, and the next one goes on from what the collection holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_assets.corpora import publishing, serving
from llm_assets.corpora.chunks import CHUNK_COLUMNS, chunks_table, chunks_version
from llm_assets.corpora.serving import Served
from resources.digests import digest
from resources.vector_index.protocol import IndexSpec, Snapshot, Tuning, Verification

if TYPE_CHECKING:
    import pyarrow as pa

    from llm_assets.corpora.embeddings import EmbeddingStore
    from llm_assets.corpora.settings import CorpusSpec
    from resources.platform import Platform
    from resources.state import State
    from resources.tables import Table
    from resources.vector_index.protocol import VectorIndex

BATCH_ROWS = 500
SCAN_ABOVE = 5_000  # more changed chunks than this are read in one scan instead of by id


Log = Callable[[str], None]
Evaluate = Callable[[Snapshot, str], dict[str, float]]


class NotEmbeddedError(RuntimeError):
    """Passages have no vector yet."""


@dataclass
class BuildReport:
    """What one run did to the index.

    Attributes:
        snapshot: the candidate: the state that holds the chunks table.
        content: digest of what it holds.
        upserted, deleted: chunks written and removed.
        verification: what was checked of it; None where nothing had changed.
        metrics: its retrieval evaluation, if the corpus has one.
        problems: why it is not served; empty if it is.
        served: what is served after the run; None if nothing ever was.
        pinned: a rollback holds what is served until it is resumed.
        published: what the corpus's name on the server leads to; None where there is no server.
        name_problem: why it does not lead to what is served.
        astray: that it did not before this run.
        health: of the server, by name; empty where there is none.
    """

    snapshot: Snapshot
    content: str
    upserted: int = 0
    deleted: int = 0
    verification: Verification | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    served: Served | None = None
    pinned: bool = False
    published: Snapshot | None = None
    name_problem: str | None = None
    astray: str | None = None
    health: Mapping[str, str | int | float] = field(default_factory=dict)


def build(
    platform: Platform,
    spec: CorpusSpec,
    store: EmbeddingStore,
    *,
    chunker: str,
    evaluate: Evaluate | None,
    gate: Callable[[dict[str, float]], list[str]],
    rebuild: bool = False,
    log: Log = lambda message: None,
) -> BuildReport:
    """Bring the index up to date with the chunks table, and serve it if it passes.

    Args:
        platform: where tables, index and state are.
        spec: the corpus.
        store: the vectors of its chunks.
        chunker: fingerprint of the chunker: another one makes a new collection, so that the old stays for rollback.
        evaluate: measures a candidate, given with the digest of its content; None where there are no questions.
        gate: what is wrong with these metrics, in plain words.
        rebuild: write every row again, changed or not.
        log: told of progress.

    Raises:
        NotEmbeddedError: the embeddings are behind the chunks; what is served stays.
        VectorIndexError: the backend cannot be reached or refuses something; what is served stays.
    """
    index, state = platform.index(spec.tenant), platform.state
    shape = index_spec(platform, spec, store.embedder.dimension)
    collection = collection_name(platform, spec, chunker, store.embedder.fingerprint)
    content = digest(collection, chunks_version(state, spec.tenant, spec.name), *filter(None, [shape.tuning]))
    now = serving.served(state, spec.tenant, spec.name)
    pinned = serving.is_pinned(state, spec.tenant, "index", spec.name)
    settings = search_settings(spec, store)
    lost, astray = index.latest(collection) is None, publishing.astray(publishing.name_leads_to(index, spec), now)
    as_wanted = not lost and not rebuild and index.tuning(collection, shape) is None
    if now and (now.content, now.settings) == (content, settings) and as_wanted:
        return _published(index, spec, BuildReport(now.snapshot, content, served=now, pinned=pinned, astray=astray))
    if lost:
        _retire_lost(state, spec, collection)
        now = serving.served(state, spec.tenant, spec.name)
    index.create(collection, shape)
    chunks = chunks_table(platform, spec.tenant, spec.name)
    report = _update(index, collection, content, chunks, store, rebuild, log)
    report.pinned, report.astray = pinned, astray
    with _tried(index.tuning(collection, shape), report):
        report.verification = index.verify(report.snapshot, chunks.count())
        report.problems += report.verification.problems(spec.settings.index.min_recall)
        if not report.problems and evaluate:
            report.metrics = evaluate(report.snapshot, content)
            report.problems = gate(report.metrics)
    if not report.problems and now and now.snapshot == report.snapshot:
        serving.confirm(state, now.seq, content, settings)
    elif not report.problems and not pinned:
        _serve(platform, spec, settings, report)
    report.served = serving.served(state, spec.tenant, spec.name)
    _published(index, spec, report)
    _retain(index, platform, spec, report)
    return report


def _retire_lost(state: State, spec: CorpusSpec, collection: str) -> None:
    """A collection that is gone begins anew: its earlier states can neither be served nor gone back to."""
    kept = serving.history(state, spec.tenant, spec.name)
    serving.retire(state, [entry.seq for entry in kept if entry.snapshot.collection == collection])


@contextmanager
def _tried(change: Tuning | None, report: BuildReport) -> Iterator[None]:
    """Verify with other search settings; they stay if the report has no problems."""
    if change is None:
        yield
        return
    change.make()
    try:
        yield
    except BaseException:
        change.undo()
        raise
    (change.undo if report.problems else change.keep)()


def _published(index: VectorIndex, spec: CorpusSpec, report: BuildReport) -> BuildReport:
    """Let the corpus's name lead to what is served; a run that was killed before it could is made good."""
    if report.served:
        index.publish(spec.name, report.served.snapshot)
        report.published = index.published(spec.name)
        report.name_problem = publishing.name_problem(report.published, report.served)
        report.health = index.health(report.served.snapshot.collection)
    report.astray = report.astray if report.published else None  # there is no server
    return report


def index_spec(platform: Platform, spec: CorpusSpec, dimension: int) -> IndexSpec:
    """The shape of a corpus's collection on the profile's backend."""
    if platform.profile.index == "weaviate":
        settings = spec.settings.index.weaviate
        return IndexSpec(dimension, shape=settings.shape, tuning=settings.tuning)
    return IndexSpec(dimension)


def collection_name(platform: Platform, spec: CorpusSpec, chunker: str, embedder: str) -> str:
    """The collection of a corpus in one shape: what cannot be changed in place is in its name."""
    weaviate = platform.profile.index == "weaviate"
    own = ("weaviate", spec.settings.index.weaviate.shape) if weaviate else ()
    return f"{spec.name}__{digest(chunker, embedder, *own)[:12]}"


def search_settings(spec: CorpusSpec, store: EmbeddingStore) -> dict[str, Any]:
    """What a search of the served index needs to know, kept with the pointer."""
    embedder = spec.settings.embedder
    languages = store.embedder.languages
    return {
        "model": embedder.model,
        "folder": str(spec.folder),
        "runtime": embedder.runtime,
        "languages": sorted(languages) if languages is not None else None,
        "embedder": store.embedder.fingerprint,
    }


def _update(
    index: VectorIndex,
    collection: str,
    content: str,
    chunks: Table,
    store: EmbeddingStore,
    rebuild: bool,
    log: Log,
) -> BuildReport:
    """Write the difference between the chunks table and the newest state of the collection, or all of it."""
    base = index.latest(collection)
    have = index.row_digests(base) if base else {}
    want = dict(_pairs(chunks))
    changed = [chunk_id for chunk_id, row in want.items() if rebuild or have.get(chunk_id) != row]
    gone = [chunk_id for chunk_id in have if chunk_id not in want]
    if base and not changed and not gone:
        return BuildReport(base, content)
    upserts = _with_vectors(_changed(chunks, changed), store, len(changed), log)
    snapshot = index.apply(collection, base, upserts, gone)
    report = BuildReport(snapshot, content, upserted=len(changed), deleted=len(gone))
    unlike = want.items() ^ index.row_digests(snapshot).items()
    if unlike:
        differ = len({chunk_id for chunk_id, _ in unlike})
        report.problems.append(f"{differ} chunks differ from those of the chunks table")
    return report


def _pairs(chunks: Table) -> Iterator[tuple[str, str]]:
    for batch in chunks.scan(["chunk_id", "row_digest"]):
        yield from zip(batch["chunk_id"].to_pylist(), batch["row_digest"].to_pylist(), strict=True)


def _changed(chunks: Table, changed: Sequence[str]) -> Iterator[pa.Table]:
    """The changed rows of the chunks table, some hundred at a time."""
    import pyarrow as pa

    if len(changed) <= SCAN_ABOVE:
        for start in range(0, len(changed), BATCH_ROWS):
            yield chunks.get("chunk_id", changed[start : start + BATCH_ROWS], CHUNK_COLUMNS)
        return
    wanted = set(changed)
    for batch in chunks.scan(CHUNK_COLUMNS):
        mask = pa.array([chunk_id in wanted for chunk_id in batch["chunk_id"].to_pylist()])
        yield pa.Table.from_batches([batch.filter(mask)])


def _with_vectors(
    tables: Iterator[pa.Table], store: EmbeddingStore, total: int, log: Log
) -> Iterator[pa.RecordBatch]:
    import numpy as np
    import pyarrow as pa

    done = 0
    for table in tables:
        keys = table["text_digest"].to_pylist()
        vectors = store.get(keys)
        if lacking := set(keys) - vectors.keys():
            raise NotEmbeddedError(
                f"{len(lacking)} passages have no vector yet: materialise the embeddings, then the vector_index"
            )
        flat = np.concatenate([vectors[key] for key in keys]) if keys else np.empty(0, np.float32)
        column = pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), store.embedder.dimension)
        yield from table.append_column("vector", column).combine_chunks().to_batches()
        done += len(keys)
        log(f"{done} of {total} chunks written to the index")


def _serve(platform: Platform, spec: CorpusSpec, settings: dict[str, Any], report: BuildReport) -> None:
    assert report.verification is not None  # noqa: S101 - `build` verifies before it serves
    serving.serve(
        platform.state,
        spec.tenant,
        spec.name,
        report.snapshot,
        content=report.content,
        rows=report.verification.count,
        settings=settings,
    )


def _retain(index: VectorIndex, platform: Platform, spec: CorpusSpec, report: BuildReport) -> None:
    """Keep the last states for rollback, and remove what no pointer names any more."""
    kept = serving.history(platform.state, spec.tenant, spec.name)
    serving.retire(platform.state, [entry.seq for entry in kept[spec.settings.index.keep :]])
    kept = kept[: spec.settings.index.keep]
    named = {entry.snapshot.collection for entry in kept} | {report.snapshot.collection}
    for collection in own_collections(index, spec.name):
        if collection in named:
            snapshots = [entry.snapshot for entry in kept if entry.snapshot.collection == collection]
            if collection == report.snapshot.collection:
                snapshots.append(report.snapshot)
            index.tidy(collection, snapshots)
        else:
            index.drop(collection)


def own_collections(index: VectorIndex, corpus: str) -> list[str]:
    """The collections of a corpus, whatever their shape."""
    return [name for name in index.collections() if name.rpartition("__")[0] == corpus]
