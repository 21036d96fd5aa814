"""Forget a document: its content leaves every table, version, collection, cache and run directory.

Each step can be repeated; a `forget` that was killed is finished by running it again. The URI is kept, so that
ingestion leaves the file out even while it is still in the source.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from llm_assets.corpora import serving
from llm_assets.corpora.chunks import chunks_table, remove_chunked
from llm_assets.corpora.documents import documents_table, remove_documents
from llm_assets.corpora.vector_index import own_collections
from llm_assets.models.forgetting import forget_examples, trained_models
from resources import state_schema as schema
from resources.state import now

if TYPE_CHECKING:
    from resources.platform import Platform

Log = Callable[[str], None]


class ForgetError(RuntimeError):
    """No document has that URI."""


@dataclass
class Forgotten:
    """What was removed for one document of one corpus.

    Attributes:
        corpus: `tenant/name`.
        uri: the document.
        passages: passages removed from collections, every kept state counted.
        models: versions of models that were trained on it, as `tenant/name version`; they are not changed.
        backups: of the corpus's collections on a Weaviate server, which hold it if they are not older than it; they
            are not changed either, but what is restored from them comes back without it.
    """

    corpus: str
    uri: str
    passages: int = 0
    models: list[str] = field(default_factory=list)
    backups: list[str] = field(default_factory=list)


def forget(
    platform: Platform, uri: str, corpora: Collection[str] = (), log: Log = lambda message: None
) -> list[Forgotten]:
    """Remove a document.

    Args:
        platform: where everything lies.
        uri: the document.
        corpora: `tenant/name` of those that it is to leave; needed where several have a document with this URI: a
            relative URI may name another file in each of them.
        log: told what is done.

    Raises:
        ForgetError: no such corpus has, or had, a document with this URI, or several have and none is named.
    """
    found = {f"{tenant}/{corpus}": (tenant, corpus, doc_id) for tenant, corpus, doc_id in _find(platform, uri)}
    if not found:
        raise ForgetError(
            f"no document has the URI '{uri}'; `llm-assets status --json` and the documents table list them"
        )
    if unknown := sorted(set(corpora) - set(found)):
        raise ForgetError(f"'{uri}' is no document of {', '.join(unknown)}; it is in: {', '.join(found)}")
    if len(found) > 1 and not corpora:
        raise ForgetError(
            f"several corpora have a document '{uri}', each perhaps another file: {', '.join(found)}; "
            "name those that it is to leave with --corpus"
        )
    return [_forget(platform, *found[corpus], uri=uri, log=log) for corpus in corpora or found]


def _find(platform: Platform, uri: str) -> list[tuple[str, str, str]]:
    """Tenant, corpus and doc_id of the documents with this URI, forgotten ones included."""
    found = set()
    for table in (schema.documents, schema.forgotten):
        query = sa.select(table.c.tenant, table.c.corpus, table.c.doc_id).where(table.c.uri == uri)
        found |= {(row["tenant"], row["corpus"], row["doc_id"]) for row in platform.state.rows(query)}
    return sorted(found)


def _forget(platform: Platform, tenant: str, corpus: str, doc_id: str, *, uri: str, log: Log) -> Forgotten:
    result = Forgotten(f"{tenant}/{corpus}", uri)
    state = platform.state
    with state.lock(f"corpus/{tenant}/{corpus}", on_wait=lambda _: log(f"waiting for a run of {tenant}/{corpus}")):
        # First, so that no run brings it back while the rest goes on.
        row = {"tenant": tenant, "corpus": corpus, "doc_id": doc_id, "uri": uri, "forgotten_at": now()}
        state.put(schema.forgotten, [row])
        result.models = trained_models(state, tenant, corpus, doc_id)
        log(f"{uri}: leaving the index of {tenant}/{corpus}")
        result.passages = _from_index(platform, tenant, corpus, doc_id)
        log(f"{uri}: leaving the tables of {tenant}/{corpus}")
        _from_tables(platform, tenant, corpus, doc_id)
        forget_examples(platform, tenant, corpus, doc_id)
        result.backups = _backups(platform, tenant, corpus)
    return result


def _backups(platform: Platform, tenant: str, corpus: str) -> list[str]:
    if platform.profile.index != "weaviate" or not (index := platform.weaviate(tenant)).can_back_up:
        return []
    return [backup_id for backup_id, _ in index.backups(corpus)]


def _from_index(platform: Platform, tenant: str, corpus: str, doc_id: str) -> int:
    """Write every kept state anew without the document, move the pointers, and purge the old files."""
    index, state, removed = platform.index(tenant), platform.state, 0
    kept = serving.history(state, tenant, corpus)
    for collection in own_collections(index, corpus):
        snapshots = [entry.snapshot for entry in kept if entry.snapshot.collection == collection]
        newest = index.latest(collection)
        ids: set[str] = set()
        for snapshot in {*snapshots, *([newest] if newest else [])}:
            own = {key for key, owner in index.documents(snapshot).items() if owner == doc_id}
            ids |= own
            removed += len(own)
        # Also without ids: files may still hold what left every kept state before.
        replaced = index.forget(collection, ids, snapshots)
        serving.replace(state, tenant, corpus, replaced, {new: index.count(new) for new in replaced.values()})
        snapshots = [replaced.get(snapshot, snapshot) for snapshot in snapshots]
        index.tidy(collection, snapshots, purge=True)
    return removed


def _from_tables(platform: Platform, tenant: str, corpus: str, doc_id: str) -> None:
    chunks = chunks_table(platform, tenant, corpus)
    digests = set(chunks.get("doc_id", [doc_id], ["text_digest"])["text_digest"].to_pylist())
    chunks.delete("doc_id", [doc_id])
    chunks.purge()
    _from_embeddings(platform, tenant, digests)
    documents = documents_table(platform, tenant, corpus)
    documents.delete("doc_id", [doc_id])
    documents.purge()
    remove_chunked(platform.state, tenant, corpus, [doc_id])
    remove_documents(platform.state, tenant, corpus, [doc_id])


def _from_embeddings(platform: Platform, tenant: str, digests: set[str]) -> None:
    """Vectors of texts that no other document of the tenant has."""
    for other_tenant, corpus in serving.known_corpora(platform.state):
        if other_tenant == tenant and digests:
            digests = digests - set(chunks_table(platform, tenant, corpus).column("text_digest"))
    tables = platform.embeddings(tenant)
    for name in tables.names():
        table = tables.existing(name)
        table.delete("text_digest", sorted(digests))
        table.purge()
