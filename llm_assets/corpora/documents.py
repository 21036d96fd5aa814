"""Files become rows of the documents table: only those that are new or changed are parsed.

Order of writes: the table first, then the state database. A run that is killed between the two parses that batch
again and replaces the same rows; nothing is doubled or lost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from llm_assets.corpora.buckets import WHOLE, Buckets
from resources import state_schema as schema
from resources.digests import digest
from resources.state import State, now

if TYPE_CHECKING:
    import pyarrow as pa

    from llm_assets.corpora.parsing import Element, ParseOptions
    from llm_assets.corpora.settings import CorpusSpec
    from resources.platform import Platform
    from resources.sources import Source, SourceFile
    from resources.tables import Table

BATCH_DOCUMENTS = 32  # rows of one transaction, and with BATCH_CHARS the bound of what is held in memory
BATCH_CHARS = 2_000_000
BATCH_SECONDS = 5.0

# Reasons that may be gone without any change of the file: rights, a network, a file that is written anew.
PASSING = {"vanished", "unreadable"}
# Reasons that other limits may remove.
LIMITS = {"oversized", "timeout", "memory"}

DOCUMENT_COLUMNS = (
    *("doc_id", "uri", "content_digest", "parse_key", "status", "code", "reason"),
    *("media_type", "language", "title", "elements", "chars"),
)

Log = Callable[[str], None]


class EmptySourceError(RuntimeError):
    """A source that had documents lists none: taken for an accident, not for a deletion of everything."""


@dataclass
class IngestReport:
    """What one run did to the documents table. `source_version` is that of the files it worked on."""

    source_version: str = ""
    listed: int = 0
    listed_bytes: int = 0
    parsed: int = 0
    same_content: int = 0
    deleted: int = 0
    forgotten: int = 0
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0


def document_id(uri: str) -> str:
    """The identity of a document: a digest of its URI."""
    return digest("document", uri)


def documents_schema() -> pa.Schema:
    """One row a document. `elements` is JSON: a list of [kind, text, page, level]."""
    import pyarrow as pa

    return pa.schema([(name, pa.int64() if name == "chars" else pa.string()) for name in DOCUMENT_COLUMNS])


def documents_table(platform: Platform, tenant: str, corpus: str) -> Table:
    """The documents table of a corpus."""
    return platform.tables(tenant, corpus).table("documents", documents_schema, "doc_id")


def known_documents(state: State, tenant: str, corpus: str, buckets: Buckets = WHOLE) -> dict[str, dict[str, Any]]:
    """doc_id to what the state database knows of the document."""
    table = schema.documents
    query = sa.select(table).where(table.c.tenant == tenant, table.c.corpus == corpus)
    return {row["doc_id"]: row for row in state.rows(query) if buckets.holds(row["doc_id"])}


def documents_version(state: State, tenant: str, corpus: str, buckets: Buckets = WHOLE) -> str:
    """Digest of the text that the documents table holds: the data version of the asset."""
    rows = known_documents(state, tenant, corpus, buckets).values()
    return digest(*sorted(f"{row['doc_id']} {row['good_key']}" for row in rows if row["good_key"]))


def source_version(files: list[SourceFile]) -> str:
    """Digest of a listing: the data version of the source."""
    return digest(*(part for file in files for part in (file.uri, file.stamp)))


def ingest(
    platform: Platform,
    spec: CorpusSpec,
    source: Source,
    options: ParseOptions,
    *,
    workers: int,
    reparse: bool = False,
    buckets: Buckets = WHOLE,
    log: Log = lambda message: None,
) -> IngestReport:
    """Bring the documents table up to date with the source.

    Args:
        platform: where the tables and the state database are.
        spec: the corpus.
        source: the files.
        options: how they are parsed.
        workers: parser processes.
        reparse: parse every file, changed or not.
        buckets: the documents that are worked on.
        log: told of progress.

    Returns:
        What was done.

    Raises:
        SourceError: the source cannot be listed; nothing has been changed.
        EmptySourceError: it lists nothing although there were documents.
    """
    started = time.monotonic()
    run = _Ingest(platform, spec, options, buckets, log)
    files = source.list()
    run.report.source_version = source_version(files)
    run.refuse_empty(files)
    files = [file for file in files if buckets.holds(document_id(file.uri))]
    run.report.listed, run.report.listed_bytes = len(files), sum(file.size for file in files)
    pending = run.pending(files, reparse)
    run.delete({document_id(file.uri) for file in files} - run.forgotten)
    if pending:
        run.parse(source, pending, min(workers, len(pending)))
    run.table.tidy()
    run.report.seconds = time.monotonic() - started
    return run.report


class _Ingest:
    """One run over a source: what was known before, and what has been done."""

    def __init__(
        self, platform: Platform, spec: CorpusSpec, options: ParseOptions, buckets: Buckets, log: Log
    ) -> None:
        self.spec, self.options, self.buckets, self.log = spec, options, buckets, log
        self.state = platform.state
        self.table = documents_table(platform, spec.tenant, spec.name)
        self.known = known_documents(self.state, spec.tenant, spec.name, buckets)
        self.forgotten = self._forgotten()
        self.report = IngestReport()

    def refuse_empty(self, files: list[SourceFile]) -> None:
        if not files and self.known and not self.spec.settings.source.allow_empty:
            raise EmptySourceError(
                f"corpus {self.spec.id}: {self.spec.settings.source.path} lists no file, but "
                f"{len(self.known)} documents came from it; nothing was deleted. If it is meant to be empty, "
                "set source.allow_empty: true"
            )

    def pending(self, files: list[SourceFile], reparse: bool) -> list[tuple[SourceFile, str | None]]:
        """The files to look at, each with the content digest that need not be parsed again."""
        pending = []
        for file in files:
            doc_id = document_id(file.uri)
            row = self.known.get(doc_id)
            if doc_id in self.forgotten:
                self.report.forgotten += 1
            elif reparse or row is None or row["code"] in PASSING or row["parser"] != self._parser(row["code"]):
                pending.append((file, None))
            elif row["stamp"] != file.stamp:
                pending.append((file, row["content_digest"]))
        return pending

    def delete(self, listed: set[str]) -> None:
        """Remove the documents whose files are gone, also those that a killed run left in the table alone."""
        stored = filter(self.buckets.holds, self.table.column("doc_id"))
        gone = sorted({*self.known, *stored} - listed)
        if gone:
            self.table.delete("doc_id", gone)
            remove_documents(self.state, self.spec.tenant, self.spec.name, gone)
            self.report.deleted = len(gone)
            self.log(f"{len(gone)} documents left the source")

    def parse(self, source: Source, pending: list[tuple[SourceFile, str | None]], workers: int) -> None:
        from llm_assets.corpora.parsing import ParserPool

        with ParserPool(source, self.options, workers) as pool:
            done = 0
            for batch in _batches(pool.run(pending)):
                self.write(batch)
                done += len(batch)
                self.log(f"{done} of {len(pending)} files read, {len(self.report.quarantined)} quarantined")

    def write(self, batch: list[tuple[SourceFile, Any]]) -> None:
        """One transaction of the table, then one of the state database."""
        from llm_assets.corpora.parsing import Unchanged

        rows = [self._row(file, outcome) for file, outcome in batch if not isinstance(outcome, Unchanged)]
        self.table.replace("doc_id", [row["doc_id"] for row in rows], rows)
        by_id = {row["doc_id"]: row for row in rows}
        self.state.put(schema.documents, [self._status(file, outcome, by_id) for file, outcome in batch])

    def _row(self, file: SourceFile, outcome: Any) -> dict[str, Any]:
        from llm_assets.corpora.parsing import Parsed

        doc_id = document_id(file.uri)
        row: dict[str, Any] = dict.fromkeys(DOCUMENT_COLUMNS)
        if isinstance(outcome, Parsed):
            self.report.parsed += 1
            row |= {"content_digest": outcome.content_digest, "media_type": outcome.media_type}
            row |= {"language": outcome.language, "title": outcome.title, "status": "parsed"}
            row |= {"elements": encode_elements(outcome.elements), "parse_key": self._key(outcome)}
            row["chars"] = sum(len(element.text) for element in outcome.elements)
        else:
            self.report.quarantined.append((file.uri, outcome.reason))
            row |= self._last_good(doc_id)
            row |= {"status": "quarantined", "code": outcome.code, "reason": outcome.reason}
        return row | {"doc_id": doc_id, "uri": file.uri}

    def _last_good(self, doc_id: str) -> dict[str, Any]:
        """What the table holds of an earlier, readable version: it stays until a readable one replaces it."""
        rows = self.table.get("doc_id", [doc_id], DOCUMENT_COLUMNS).to_pylist()
        return rows[0] if rows and rows[0]["parse_key"] else {"chars": 0}

    def _status(self, file: SourceFile, outcome: Any, rows: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        from llm_assets.corpora.parsing import Unchanged

        doc_id = document_id(file.uri)
        seen = {"uri": file.uri, "size": file.size, "stamp": file.stamp, "updated_at": now()}
        if isinstance(outcome, Unchanged):
            self.report.same_content += 1
            return self.known[doc_id] | seen
        row = rows[doc_id]
        return {
            "tenant": self.spec.tenant,
            "corpus": self.spec.name,
            "doc_id": doc_id,
            **seen,
            "content_digest": outcome.content_digest,
            "parser": self._parser(row["code"]),
            **{name: row[name] for name in ("status", "code", "reason", "media_type", "language")},
            "elements": len(decode_elements(row["elements"])),
            "good_key": row["parse_key"],
        }

    def _parser(self, code: str | None) -> str:
        """What a result depends on beside the content: limits count where they decided it."""
        options = self.options
        return digest(options.fingerprint, options.limits_fingerprint) if code in LIMITS else options.fingerprint

    def _key(self, outcome: Any) -> str:
        return digest(outcome.content_digest, self.options.fingerprint)

    def _forgotten(self) -> set[str]:
        table = schema.forgotten
        query = sa.select(table.c.doc_id).where(table.c.tenant == self.spec.tenant, table.c.corpus == self.spec.name)
        return {row["doc_id"] for row in self.state.rows(query)}


def remove_documents(state: State, tenant: str, corpus: str, doc_ids: list[str]) -> None:
    """Take documents out of the state database; what lies downstream finds them missing and follows."""
    table = schema.documents
    with state.write() as connection:
        connection.execute(
            table.delete().where(
                table.c.tenant == tenant, table.c.corpus == corpus, table.c.doc_id == sa.bindparam("gone")
            ),
            [{"gone": doc_id} for doc_id in doc_ids],
        )


def encode_elements(elements: Iterable[Element]) -> str:
    """Elements as the documents table holds them."""
    return json.dumps([[e.kind, e.text, e.page, e.level] for e in elements], ensure_ascii=False)


def decode_elements(text: str | None) -> list[Element]:
    """The inverse of `encode_elements`."""
    from llm_assets.corpora.parsing import Element

    return [Element(*parts) for parts in json.loads(text or "[]")]


def _batches(outcomes: Iterator[tuple[SourceFile, Any]]) -> Iterator[list[tuple[SourceFile, Any]]]:
    """Groups that are small enough to hold and old enough to be worth a transaction."""
    batch: list[tuple[SourceFile, Any]] = []
    chars, started = 0, time.monotonic()
    for file, outcome in outcomes:
        batch.append((file, outcome))
        chars += sum(len(element.text) for element in getattr(outcome, "elements", ()))
        if len(batch) >= BATCH_DOCUMENTS or chars >= BATCH_CHARS or time.monotonic() - started > BATCH_SECONDS:
            yield batch
            batch, chars, started = [], 0, time.monotonic()
    if batch:
        yield batch
