"""Vectors by content: equal text is embedded once per tenant and embedder, whatever document it stands in.

Each batch is one transaction, so a killed run leaves whole batches and the next one embeds what is still missing.
The work itself runs in a child process that holds the device; where nothing is missing no process is started.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llm_assets.corpora.buckets import WHOLE, Buckets
from llm_assets.corpora.chunks import chunks_table
from llm_assets.corpora.embedding_claims import Claims
from resources import processes
from resources.digests import digest

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from llm_assets.corpora.settings import CorpusSpec
    from resources.embedder import Embedder, EmbedderProcess
    from resources.platform import Platform
    from resources.processes import Start
    from resources.tables import Table

BATCH_TEXTS = 1024  # texts of one transaction; the embedder sorts them by length
FEW = 500  # so few texts are looked up one by one instead of scanning the table

Log = Callable[[str], None]
Kind = Literal["document", "query"]


@dataclass
class EmbedReport:
    """What one run did to the embeddings table."""

    distinct: int = 0
    embedded: int = 0
    seconds: float = 0.0


class EmbeddingStore:
    """The vectors of one embedder in a tenant: text digest to vector.

    Args:
        platform: where the tables are.
        spec: a corpus of the tenant.
        embedder: names the table by its fingerprint, and embeds what is missing.
        start: starts the process that embeds: a lease's, or without one `processes.start`.
    """

    def __init__(
        self, platform: Platform, spec: CorpusSpec, embedder: Embedder, start: Start = processes.start
    ) -> None:
        self.embedder = embedder
        self._start = start
        self._platform, self._spec = platform, spec
        tables = platform.embeddings(spec.tenant)
        self.table: Table = tables.table(table_name(embedder.fingerprint), self._schema, "text_digest")
        self._stack = ExitStack()
        self._process: EmbedderProcess | None = None

    def __enter__(self) -> EmbeddingStore:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Those of `digests` that have no vector yet."""
        wanted = set(digests)
        if len(wanted) > BATCH_TEXTS:
            return wanted - set(self.table.column("text_digest"))
        return wanted - set(self.table.get("text_digest", sorted(wanted), ["text_digest"])["text_digest"].to_pylist())

    def add(self, texts: Sequence[tuple[str, str]], kind: Kind = "document") -> None:
        """Embed texts, given as (digest, text), and keep their vectors, in one transaction."""
        import pyarrow as pa

        vectors = self._started().embed([text for _, text in texts], query=kind == "query")
        rows = {"text_digest": [digest for digest, _ in texts], "vector": list(vectors)}
        self.table.insert_missing(pa.table(rows, schema=self._schema()))

    def get(self, digests: Sequence[str]) -> dict[str, np.ndarray]:
        """Vectors by digest; digests without a vector are left out."""
        import numpy as np

        rows = self.table.get("text_digest", list(dict.fromkeys(digests)), ["text_digest", "vector"])
        flat = rows["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors = flat.astype(np.float32, copy=False).reshape(len(rows), -1) if len(rows) else flat
        return dict(zip(rows["text_digest"].to_pylist(), vectors, strict=True))

    def queries(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Vectors of questions; those never asked before are embedded and kept."""
        keys = [digest("query", text) for text in texts]
        missing = self.missing(keys)
        pending = {key: text for key, text in zip(keys, texts, strict=True) if key in missing}
        if pending:
            self.add(list(pending.items()), kind="query")
        found = self.get(keys)
        return [found[key] for key in keys]

    def _started(self) -> EmbedderProcess:
        if self._process is None:
            from resources.embedder import EmbedderProcess

            settings = self._spec.settings.embedder
            self._process = self._stack.enter_context(
                EmbedderProcess(
                    settings.model,
                    base=self._spec.folder,
                    cache_dir=self._platform.cache,
                    runtime=settings.runtime,
                    threads=settings.threads,
                    start=self._start,
                )
            )
        return self._process

    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        vector = pa.list_(pa.float32(), self.embedder.dimension)
        return pa.schema([("text_digest", pa.string()), ("vector", vector)])


def table_name(fingerprint: str) -> str:
    """The embeddings table of an embedder."""
    return f"embeddings_{fingerprint[:16]}"


def embed_corpus(
    platform: Platform,
    spec: CorpusSpec,
    store: EmbeddingStore,
    *,
    buckets: Buckets = WHOLE,
    log: Log = lambda message: None,
) -> EmbedReport:
    """Embed the texts of the chunks table that have no vector yet; those that others embed now are waited for.

    Args:
        platform: where the tables are.
        spec: the corpus.
        store: the vectors of its tenant.
        buckets: the documents whose texts are meant.
        log: told of progress.
    """
    started, report = time.monotonic(), EmbedReport()
    chunks = chunks_table(platform, spec.tenant, spec.name)
    while missing := store.missing(distinct := _distinct(chunks, buckets)):
        claims = Claims(platform.state, f"{spec.tenant}/{store.table.name}")
        with claims.held():
            _embed(chunks, missing, store, claims, report, log)
        if not claims.others:
            break
        claims.wait_for_others(log)
    report.distinct = len(distinct)
    store.table.tidy()
    report.seconds = time.monotonic() - started
    return report


def _distinct(chunks: Table, buckets: Buckets) -> set[str]:
    if buckets.chosen is None:
        return set(chunks.column("text_digest"))
    found: set[str] = set()
    for batch in chunks.scan(["doc_id", "text_digest"]):
        pairs = zip(batch["doc_id"].to_pylist(), batch["text_digest"].to_pylist(), strict=True)
        found.update(key for doc_id, key in pairs if buckets.holds(doc_id))
    return found


def _embed(
    chunks: Table, missing: set[str], store: EmbeddingStore, claims: Claims, report: EmbedReport, log: Log
) -> None:
    """Embed those of the missing texts that nobody else embeds."""
    started, before = time.monotonic(), report.embedded
    for batch in _batches(_texts(chunks, missing)):
        # What another has finished since we looked is neither claimed any more nor missing.
        ours = store.missing(claims.take([key for key, _ in batch]))
        if not ours:
            continue
        store.add([(key, text) for key, text in batch if key in ours])
        report.embedded += len(ours)
        rate = (report.embedded - before) / (time.monotonic() - started)
        log(f"{report.embedded} of {before + len(missing)} texts embedded, {rate:.0f} a second")


def _texts(chunks: Table, missing: set[str]) -> Iterator[tuple[str, str]]:
    """Each missing digest once, with its text."""
    left = set(missing)
    columns = ["text_digest", "text"]
    if len(missing) <= FEW:
        batches: Iterable[pa.RecordBatch] = chunks.get("text_digest", sorted(missing), columns).to_batches()
    else:
        batches = chunks.scan(columns)
    for batch in batches:
        for key, text in zip(batch["text_digest"].to_pylist(), batch["text"].to_pylist(), strict=True):
            if key in left:
                left.remove(key)
                yield key, text


def _batches(texts: Iterator[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    batch: list[tuple[str, str]] = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH_TEXTS:
            yield batch
            batch = []
    if batch:
        yield batch
