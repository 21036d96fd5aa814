"""A collection that was removed comes back from its backup on the Weaviate server, and is served again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from llm_assets.corpora import serving
from llm_assets.corpora.rollback import RollbackError, serve_again
from llm_assets.corpora.serving import Served
from resources import state_schema as schema
from resources.vector_index import Snapshot, VectorIndexError

if TYPE_CHECKING:
    from llm_assets.corpora.settings import CorpusSpec
    from resources.platform import Platform
    from resources.vector_index.weaviate import WeaviateIndex

Log = Callable[[str], None]


def list_backups(platform: Platform, tenant: str, corpus: str) -> list[tuple[str, str]]:
    """Ids and outcomes of the backups of a corpus's collections."""
    return _weaviate(platform, tenant).backups(corpus)


def restore(
    platform: Platform, tenant: str, corpus: str, spec: CorpusSpec | None, backup_id: str, log: Log
) -> Served:
    """Bring a collection back, serve its newest state less every document that is gone since, and pin it.

    What was forgotten since leaves the collection's files too, before anything of it is served.

    Args:
        platform: where index and state are.
        tenant, corpus: whose index.
        spec: the corpus, if it is still configured: its source is asked which files are gone.
        backup_id: as `list_backups` gives it.
        log: told what is done.

    Raises:
        RollbackError: this project never served that collection, so that nobody knows its embedder.
        VectorIndexError: no such backup, or the collection is there.
    """
    index, state = _weaviate(platform, tenant), platform.state
    with state.lock(f"corpus/{tenant}/{corpus}", on_wait=lambda name: log(f"waiting for another run ({name})")):
        snapshot = index.bring_back(corpus, backup_id)
        snapshot = _without_forgotten(platform, tenant, corpus, snapshot)
        log(f"{snapshot.collection} is back")
        earlier = serving.last_of(state, tenant, corpus, snapshot.collection)
        if earlier is None:
            raise RollbackError(f"corpus {tenant}/{corpus}: {snapshot.collection} was never served here: build it")
        return serve_again(platform, tenant, corpus, spec, replace(earlier, snapshot=snapshot), retire=[], log=log)


def _without_forgotten(platform: Platform, tenant: str, corpus: str, snapshot: Snapshot) -> Snapshot:
    index, table = platform.index(tenant), schema.forgotten
    query = sa.select(table.c.doc_id).where(table.c.tenant == tenant, table.c.corpus == corpus)
    forgotten = {row["doc_id"] for row in platform.state.rows(query)}
    if not forgotten:
        return snapshot
    ids = [key for key, doc_id in index.documents(snapshot).items() if doc_id in forgotten]
    # Also without ids: states before the newest may hold it, and leave with their rows.
    snapshot = index.forget(snapshot.collection, ids, [snapshot])[snapshot]
    return index.tidy(snapshot.collection, [snapshot], purge=True)


def _weaviate(platform: Platform, tenant: str) -> WeaviateIndex:
    if platform.profile.index != "weaviate":
        raise VectorIndexError(f"backups are Weaviate's; this target's index is {platform.profile.index}")
    return platform.weaviate(tenant)
