"""Documents become rows of the chunks table: only those whose text or chunker changed are cut again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from llm_assets.corpora.buckets import WHOLE, Buckets
from llm_assets.corpora.documents import decode_elements, documents_table, known_documents
from resources import state_schema as schema
from resources.digests import digest, digest_json
from resources.state import State

if TYPE_CHECKING:
    import pyarrow as pa

    from llm_assets.corpora.chunking import Chunker
    from llm_assets.corpora.settings import CorpusSpec
    from resources.platform import Platform
    from resources.tables import Table

BATCH_DOCUMENTS = 32

CHUNK_COLUMNS = (
    *("chunk_id", "doc_id", "uri", "ordinal", "text", "text_digest", "page"),
    *("headings", "language", "title", "media_type", "row_digest"),
)

Log = Callable[[str], None]


@dataclass
class ChunkReport:
    """What one run did to the chunks table."""

    documents_cut: int = 0
    documents_removed: int = 0
    chunks_written: int = 0
    tokens_written: int = 0


def chunks_schema() -> pa.Schema:
    """One row a chunk. `row_digest` covers all the other columns: a row that differs is written again."""
    import pyarrow as pa

    types = {"ordinal": pa.int32(), "page": pa.int32(), "headings": pa.list_(pa.string())}
    return pa.schema([(name, types.get(name, pa.string())) for name in CHUNK_COLUMNS])


def chunks_table(platform: Platform, tenant: str, corpus: str) -> Table:
    """The chunks table of a corpus."""
    return platform.tables(tenant, corpus).table("chunks", chunks_schema, "chunk_id")


def known_chunks(state: State, tenant: str, corpus: str, buckets: Buckets = WHOLE) -> dict[str, dict[str, Any]]:
    """doc_id to what the state database knows of the document's chunks."""
    table = schema.chunked
    query = sa.select(table).where(table.c.tenant == tenant, table.c.corpus == corpus)
    return {row["doc_id"]: row for row in state.rows(query) if buckets.holds(row["doc_id"])}


def chunks_version(state: State, tenant: str, corpus: str, buckets: Buckets = WHOLE) -> str:
    """Digest of the content of the chunks table: the data version of the asset."""
    known = known_chunks(state, tenant, corpus, buckets)
    return digest(*sorted(f"{doc_id} {row['digest']}" for doc_id, row in known.items()))


def cut(
    platform: Platform,
    spec: CorpusSpec,
    chunker: Chunker,
    *,
    buckets: Buckets = WHOLE,
    log: Log = lambda message: None,
) -> ChunkReport:
    """Bring the chunks table up to date with the documents table.

    Args:
        platform: where the tables and the state database are.
        spec: the corpus.
        chunker: cuts the elements of a document.
        buckets: the documents that are worked on.
        log: told of progress.
    """
    state, report = platform.state, ChunkReport()
    table = chunks_table(platform, spec.tenant, spec.name)
    wanted = {
        doc_id: digest(row["good_key"], chunker.fingerprint)
        for doc_id, row in known_documents(state, spec.tenant, spec.name, buckets).items()
        if row["good_key"]
    }
    have = known_chunks(state, spec.tenant, spec.name, buckets)
    # Also those that a killed run left in the table alone.
    stored = filter(buckets.holds, table.column("doc_id"))
    _remove(state, spec, table, sorted({*have, *stored} - wanted.keys()), report)
    changed = sorted(doc_id for doc_id, key in wanted.items() if have.get(doc_id, {}).get("chunk_key") != key)
    for part in _parts(changed):
        _write(platform, spec, chunker, table, {doc_id: wanted[doc_id] for doc_id in part}, report)
        log(f"{report.documents_cut} of {len(changed)} documents cut into {report.chunks_written} chunks")
    table.tidy()
    return report


def _remove(state: State, spec: CorpusSpec, table: Table, gone: list[str], report: ChunkReport) -> None:
    if not gone:
        return
    table.delete("doc_id", gone)
    remove_chunked(state, spec.tenant, spec.name, gone)
    report.documents_removed = len(gone)


def remove_chunked(state: State, tenant: str, corpus: str, doc_ids: list[str]) -> None:
    """Take documents out of what the state database knows of the chunks table."""
    chunked = schema.chunked
    with state.write() as connection:
        connection.execute(
            chunked.delete().where(
                chunked.c.tenant == tenant,
                chunked.c.corpus == corpus,
                chunked.c.doc_id == sa.bindparam("gone"),
            ),
            [{"gone": doc_id} for doc_id in doc_ids],
        )


def _write(
    platform: Platform,
    spec: CorpusSpec,
    chunker: Chunker,
    table: Table,
    keys: dict[str, str],
    report: ChunkReport,
) -> None:
    """Cut some documents and replace their rows in one transaction."""
    columns = ["doc_id", "uri", "media_type", "language", "title", "elements"]
    documents = documents_table(platform, spec.tenant, spec.name).get("doc_id", list(keys), columns).to_pylist()
    rows, statuses = [], []
    for document in sorted(documents, key=lambda row: row["doc_id"]):
        own = list(_rows(document, chunker, report))
        rows.extend(own)
        statuses.append(_status(spec, document["doc_id"], keys[document["doc_id"]], own))
    table.replace("doc_id", list(keys), rows)
    platform.state.put(schema.chunked, statuses)
    report.documents_cut += len(statuses)
    report.chunks_written += len(rows)


def _rows(document: dict[str, Any], chunker: Chunker, report: ChunkReport) -> Iterator[dict[str, Any]]:
    elements = decode_elements(document["elements"])
    for chunk in chunker.chunk(elements, document["language"]):
        report.tokens_written += chunk.tokens
        row = {
            "chunk_id": digest(document["doc_id"], chunk.ordinal, chunk.text),
            **{name: document[name] for name in ("doc_id", "uri", "language", "title", "media_type")},
            "ordinal": chunk.ordinal,
            "text": chunk.text,
            "text_digest": digest(chunk.text),
            "page": chunk.page,
            "headings": list(chunk.headings),
        }
        yield row | {"row_digest": digest_json(row)}


def _status(spec: CorpusSpec, doc_id: str, key: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "tenant": spec.tenant,
        "corpus": spec.name,
        "doc_id": doc_id,
        "chunk_key": key,
        "chunks": len(rows),
        "digest": digest(*(row["row_digest"] for row in rows)),
    }


def _parts(doc_ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(doc_ids), BATCH_DOCUMENTS):
        yield doc_ids[start : start + BATCH_DOCUMENTS]
