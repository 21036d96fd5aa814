"""Indexes: small files merged, states and collections that nothing names any more removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_assets.corpora import serving
from llm_assets.corpora.vector_index import own_collections

if TYPE_CHECKING:
    from resources.platform import Platform


def compact(platform: Platform) -> tuple[list[str], list[str]]:
    """Tidy every served collection of every corpus and drop those that no served state names.

    A corpus that was never served is left alone: its first build may not be finished.

    Returns:
        The collections that were tidied, and those that were dropped, each as `tenant/collection`.
    """
    tidied, dropped = [], []
    for tenant, corpus in serving.known_corpora(platform.state):
        with platform.state.lock(f"corpus/{tenant}/{corpus}"):
            history, index = serving.history(platform.state, tenant, corpus), platform.index(tenant)
            for collection in own_collections(index, corpus) if history else ():
                kept = [entry.snapshot for entry in history if entry.snapshot.collection == collection]
                if kept:
                    index.tidy(collection, kept)
                else:
                    index.drop(collection)
                (tidied if kept else dropped).append(f"{tenant}/{collection}")
    return tidied, dropped
