"""Serve an earlier state of an index again, without what has been deleted since."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llm_assets.corpora import serving
from llm_assets.corpora.documents import document_id, known_documents
from llm_assets.corpora.serving import Served
from resources.digests import digest

if TYPE_CHECKING:
    from llm_assets.corpora.settings import CorpusSpec
    from resources.platform import Platform

Log = Callable[[str], None]


class RollbackError(RuntimeError):
    """There is nothing to go back to."""


def rollback(platform: Platform, tenant: str, corpus: str, spec: CorpusSpec | None, log: Log) -> Served:
    """Serve the state before the current one, less every document that is gone since, and pin it.

    Args:
        platform: where index and state are.
        tenant, corpus: whose index.
        spec: the corpus, if it is still configured: its source is asked which files are gone since the last run.
        log: told what is done.

    Returns:
        What is served now.

    Raises:
        RollbackError: no earlier state is kept.
    """
    state = platform.state
    with state.lock(f"corpus/{tenant}/{corpus}", on_wait=lambda name: log(f"waiting for another run ({name})")):
        kept = serving.history(state, tenant, corpus)
        if len(kept) < 2:
            raise RollbackError(f"corpus {tenant}/{corpus}: no earlier state of the index is kept (index.keep)")
        current, earlier = kept[0], kept[1]
        return serve_again(platform, tenant, corpus, spec, earlier, retire=[current.seq, earlier.seq], log=log)


def serve_again(
    platform: Platform,
    tenant: str,
    corpus: str,
    spec: CorpusSpec | None,
    earlier: Served,
    *,
    retire: list[int],
    log: Log,
) -> Served:
    """Serve a state that was served before, less the documents that are gone since, and pin it.

    Args:
        platform, tenant, corpus, spec, log: see `rollback`.
        earlier: the state; the caller holds the corpus's lock.
        retire: entries of the history that no rollback may reach any more.
    """
    state, index = platform.state, platform.index(tenant)
    live = live_documents(platform, tenant, corpus, spec, log)
    snapshot = index.restore(earlier.snapshot)
    gone = [key for key, doc_id in index.documents(snapshot).items() if doc_id not in live]
    if gone:
        snapshot = index.apply(snapshot.collection, snapshot, [], gone)
        log(f"{len(gone)} passages of deleted documents left out")
    serving.serve(
        state,
        tenant,
        corpus,
        snapshot,
        content=digest(earlier.content, "rollback", *sorted(gone)),
        rows=index.count(snapshot),
        settings=earlier.settings,
        origin="rollback",
        retire=retire,
        pinned=True,
    )
    index.publish(corpus, snapshot)
    return serving.history(state, tenant, corpus)[0]


def live_documents(platform: Platform, tenant: str, corpus: str, spec: CorpusSpec | None, log: Log) -> set[str]:
    """The documents that are neither deleted nor forgotten; a source that cannot be listed counts as unchanged."""
    known = set(known_documents(platform.state, tenant, corpus))
    if spec is None:
        return known
    from llm_assets.corpora.opening import open_source
    from resources.sources import SourceError

    try:
        listed = {document_id(file.uri) for file in open_source(spec).list()}
    except SourceError as error:
        log(f"the source cannot be listed, so only deletions that earlier runs saw are applied: {error}")
        return known
    return known & listed if listed else known
