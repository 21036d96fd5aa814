"""The served backend: a collection is a class of a Weaviate server, a snapshot a number that its rows are valid at.

A change of some documents is written into the class that is served, under a number that nobody reads yet
(`weaviate_states`); a change of embedder, chunker or of what a class cannot change is a new class beside it. Either
way readers keep the whole state that the served pointer names, until the new one has been verified and the pointer
is moved; the alias, which others read by, moves after it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from resources.vector_index import weaviate_reading as reading
from resources.vector_index import weaviate_upkeep as upkeep
from resources.vector_index import weaviate_writing as writing
from resources.vector_index.checks import (
    checked_mode,
    checked_name,
    checked_spec,
    checked_text,
    checked_vector,
    numbered,
)
from resources.vector_index.errors import StaleBase, UnknownCollection, VectorIndexError
from resources.vector_index.filters import Where, conditions
from resources.vector_index.fusion import depth, fuse
from resources.vector_index.hits import Rows, hits, scores
from resources.vector_index.protocol import Hit, IndexSpec, Mode, Snapshot, Tuning, Verification
from resources.vector_index.rows import fitted
from resources.vector_index.weaviate_backup import back_up, backups, can_back_up, is_backup_of, restore_backup
from resources.vector_index.weaviate_catalogue import Catalogue
from resources.vector_index.weaviate_connection import Server, WeaviateConnection, open_server
from resources.vector_index.weaviate_handle import Handle
from resources.vector_index.weaviate_health import health
from resources.vector_index.weaviate_settings import ServerSettings
from resources.vector_index.weaviate_states import States, View, write_states

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

T = TypeVar("T")


def connection_of(settings: ServerSettings, folder: Path, tenant: str) -> WeaviateConnection:
    """The server that WEAVIATE_URL names; without it, one of our own in `folder`.

    The key is that in WEAVIATE_API_KEY_<TENANT>, in capitals and with `_` for other characters than letters and
    digits, or else that in WEAVIATE_API_KEY.

    Raises:
        IndexRefused: there is no address, and no program to run.
    """
    from resources.weaviate_server import Address

    address = Address.from_environment()
    if address is None:
        from resources.vector_index.weaviate_embedded import embedded_server

        address = embedded_server(folder)
        return WeaviateConnection(address.url, address.grpc_port, api_key=address.key, folder=folder)
    port = settings.grpc_port or address.grpc_port
    own = os.environ.get(f"WEAVIATE_API_KEY_{re.sub(r'[^A-Za-z0-9]', '_', tenant).upper()}")
    return WeaviateConnection(address.url, port, settings.grpc_host, own or address.key)


class WeaviateIndex:
    """A `VectorIndex` on a Weaviate server, version 1.32 or newer.

    Args:
        connection: where the server is.
        tenant: whose collections these are; another tenant's are neither seen nor touched.
        settings: of the profile.
        installation: of the state database; what another one's targets made is neither seen nor touched.
    """

    def __init__(
        self,
        connection: WeaviateConnection,
        *,
        tenant: str,
        settings: ServerSettings | None = None,
        installation: str = "",
    ) -> None:
        self.server: Server = open_server(connection, settings or ServerSettings())
        self.catalogue = Catalogue(self.server, tenant, installation)

    def collections(self) -> list[str]:
        """The names of the tenant's collections, sorted."""
        return self.catalogue.collections()

    def create(self, collection: str, spec: IndexSpec) -> Snapshot:
        """Make an empty collection, or find it there with an equal spec; finishes what a killed writer began."""
        checked_name(collection)
        try:
            handle = self._found(collection)
        except UnknownCollection:
            handle = self.catalogue.make(collection, spec)
        checked_spec(collection, handle.owned.spec, spec)
        upkeep.heal(handle, handle.states())
        return Snapshot(collection, handle.states().latest)

    def tuning(self, collection: str, spec: IndexSpec) -> Tuning | None:
        """What brings the settings of the graph that can be changed up to a spec."""
        return self.catalogue.tuning(self._found(collection), spec)

    def drop(self, collection: str) -> None:
        """Remove a collection, after a backup where the profile asks for one."""
        self.catalogue.look_again(collection)
        found = self.catalogue.handles(collection)
        if found and self.server.settings.backup.before_deletion:
            back_up(found[0])
        for handle in reversed(found):
            self.catalogue.remove(handle)

    def latest(self, collection: str) -> Snapshot | None:
        """The newest state, which a killed run may have left half-written; None without such a collection."""
        try:
            return Snapshot(collection, self._found(collection).states().latest)
        except UnknownCollection:
            return None

    def apply(
        self,
        collection: str,
        base: Snapshot | None,
        upserts: Iterable[pa.RecordBatch],
        delete_ids: Iterable[str],
    ) -> Snapshot:
        """Write a difference under the next number; see `VectorIndex.apply`."""
        handle = self._found(collection)
        states = handle.states()
        if base is not None and base != Snapshot(collection, states.latest):
            raise StaleBase(f"'{collection}' is at state {states.latest}, the difference starts at {base}")
        upkeep.heal(handle, states)
        empty = states == States()
        states = replace(states, latest=states.latest + 1, writing=True)
        write_states(handle, states)
        view = states.view(states.latest)
        ended = writing.upsert(handle, fitted(upserts, handle.owned.spec), view, empty=empty)
        ended += writing.delete(handle, delete_ids, view)
        writing.wait_until_indexed(handle)
        soiled = states.soiled or bool(ended)
        write_states(handle, replace(states, writing=False, ended=states.ended + ended, soiled=soiled))
        return Snapshot(collection, states.latest)

    def count(self, snapshot: Snapshot) -> int:
        """The number of rows."""
        return self._read(snapshot, lambda handle, view, _: reading.count(handle, view))

    def row_digests(self, snapshot: Snapshot) -> dict[str, str]:
        """chunk_id to row_digest of every row."""
        return self._read(snapshot, lambda handle, view, _: reading.pairs(handle, view, "row_digest"))

    def documents(self, snapshot: Snapshot) -> dict[str, str]:
        """chunk_id to doc_id of every row."""
        return self._read(snapshot, lambda handle, view, _: reading.pairs(handle, view, "doc_id"))

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
        filters, limit = conditions(where), depth(k) if mode == "hybrid" else k

        def run(handle: Handle, view: View, states: States) -> tuple[Rows, Rows]:
            halves = reading.Halves(handle, view, states, filters, limit)
            wanted = None if mode == "vector" else checked_text(text, mode)
            dimension = handle.owned.spec.dimension
            near = None if mode == "text" else checked_vector(vector, dimension, mode)
            return halves.found(wanted, near)

        texts, vectors = self._read(snapshot, run)
        ranked = scores(texts or vectors)
        if mode == "hybrid":
            ranked = fuse(scores(texts), scores(vectors), dense_trust)
        return hits(dict(islice(ranked.items(), k)), texts, vectors)

    def verify(self, snapshot: Snapshot, expected_count: int, sample: int = 64) -> Verification:
        """Count, duplicates, and recall@10 of the graph against exact search."""

        def run(handle: Handle, view: View, states: States) -> Verification:
            return upkeep.verification(handle, view, states, expected_count, sample)

        return self._read(snapshot, run)

    def restore(self, snapshot: Snapshot) -> Snapshot:
        """Make an older state the newest again: what differs is copied or ended."""

        def run(handle: Handle, view: View, _: States) -> int:
            states = handle.states()
            upkeep.heal(handle, states)
            again = view.number == states.latest
            return (states if again else upkeep.restored(handle, handle.states(), view.number)).latest

        return Snapshot(snapshot.collection, self._read(snapshot, run))

    def forget(self, collection: str, ids: Collection[str], kept: Sequence[Snapshot]) -> Mapping[Snapshot, Snapshot]:
        """Number the kept states and the newest anew, without some rows; see `VectorIndex.forget`."""
        handle = self._found(collection)
        upkeep.heal(handle, handle.states())
        return upkeep.forgotten(handle, handle.states(), ids, kept)[1]

    def tidy(self, collection: str, kept: Sequence[Snapshot], *, purge: bool = False) -> Snapshot:
        """Remove states older than the oldest kept; `purge` also writes the class anew: see `VectorIndex.tidy`."""
        handle = self._found(collection)
        states = upkeep.tidied(handle, handle.states(), kept, purge=purge)
        if purge:
            self._write_anew(handle, states)
        return Snapshot(collection, states.latest)

    def publish(self, corpus: str, snapshot: Snapshot) -> None:
        """Say in the class what of it is served, and move the corpus's alias there."""
        handle = self._found(snapshot.collection)
        states, number = handle.states(), numbered(snapshot)
        if states.served != number:
            write_states(handle, replace(states, served=number))
        self.catalogue.publish(corpus, handle)

    def published(self, corpus: str) -> Snapshot | None:
        """The state that the alias leads to; of a class that is no collection of the tenant, its own name."""
        target = self.catalogue.target(corpus)
        if target is None:
            return None
        for handle in self.catalogue.handles():
            if handle.class_name == target:
                return Snapshot(handle.name, handle.states().served)
        return Snapshot(target, None) if self.catalogue.exists(target) else None  # an alias outlives its class

    def health(self, collection: str) -> Mapping[str, str | int | float]:
        """Version, nodes, shards, objects and what waits to be indexed."""
        return health(self._found(collection))

    def backups(self, corpus: str) -> list[tuple[str, str]]:
        """Ids and outcomes of the backups of a corpus's collections, in the order of their names and times.

        Raises:
            VectorIndexError: the server has no module for backups; `can_back_up` tells.
        """
        return backups(self.server, self.catalogue.names.alias(corpus), self.catalogue.installation)

    @property
    def can_back_up(self) -> bool:
        """Whether there can be backups."""
        return can_back_up(self.server)

    def bring_back(self, corpus: str, backup_id: str) -> Snapshot:
        """Restore a collection of a corpus from its backup. Returns its newest state.

        Raises:
            VectorIndexError: no such backup of that corpus, the collection is there, or tenants share it.
        """
        if self.server.settings.multi_tenancy:
            raise VectorIndexError(f"the backup '{backup_id}' holds other tenants' rows too: ask the server's owner")
        if not is_backup_of(backup_id, self.catalogue.names.alias(corpus), self.catalogue.installation):
            raise VectorIndexError(f"'{backup_id}' is no backup of '{corpus}'; `llm-assets backups` lists them")
        restore_backup(self.server, backup_id)
        name = backup_id.partition("-")[0]
        handle = next(each for each in self.catalogue.handles() if each.class_name.lower() == name)
        return Snapshot(handle.name, handle.states().latest)

    def close(self) -> None:
        """End the process's connection."""
        self.server.close()

    def _write_anew(self, handle: Handle, states: States) -> None:
        """A server's files keep removed rows until it merges them some day: a class in new files does not."""
        for copy in self.catalogue.handles(handle.name)[1:]:  # of a killed one, older than what is to be copied now
            self.catalogue.move_aliases(copy, handle)
            self.catalogue.remove(copy)
        if not states.soiled:
            return
        copy = self.catalogue.make(handle.name, handle.owned.spec, handle.owned.generation + 1)
        upkeep.copied(handle, copy, states)
        self.catalogue.move_aliases(handle, copy)
        self.catalogue.remove(handle)

    def _found(self, collection: str) -> Handle:
        """The class as it is now."""
        self.catalogue.look_again(collection)
        return self.catalogue.open(collection)

    def _read(self, snapshot: Snapshot, read: Callable[[Handle, View, States], T]) -> T:
        """Read a state; a class that was written anew meanwhile is looked for again."""
        numbered(snapshot)

        def once() -> T:
            handle = self.catalogue.open(snapshot.collection)
            return handle.reading(snapshot, lambda view, states: read(handle, view, states))

        try:
            return once()
        except UnknownCollection:
            self.catalogue.look_again(snapshot.collection)
            return once()
