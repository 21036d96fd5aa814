"""Which state of an index is served: one pointer in the state database, moved in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from resources import state_schema as schema
from resources.digests import digest
from resources.state import State, now
from resources.vector_index.protocol import Snapshot

if TYPE_CHECKING:
    from resources.platform import Platform


@dataclass(frozen=True)
class Served:
    """A state of an index that is or was served.

    Attributes:
        seq: the order of serving.
        snapshot: the collection and its version.
        content: digest of the chunks and settings it holds.
        rows: chunks in it.
        settings: what a search needs to know: embedder, folder, languages.
        served_at: seconds since the epoch.
        origin: `build` or `rollback`.
    """

    seq: int
    snapshot: Snapshot
    content: str
    rows: int
    settings: dict[str, Any]
    served_at: float
    origin: str


def served(state: State, tenant: str, corpus: str) -> Served | None:
    """What is served now, or None."""
    return next(iter(history(state, tenant, corpus)), None)


def known_corpora(state: State) -> list[tuple[str, str]]:
    """Tenant and name of every corpus that was ever ingested."""
    tables = (schema.documents, schema.served)
    queries = [sa.select(table.c.tenant, table.c.corpus).distinct() for table in tables]
    return sorted({(row["tenant"], row["corpus"]) for query in queries for row in state.rows(query)})


def history(state: State, tenant: str, corpus: str) -> list[Served]:
    """The states that can be served, newest first: the first is served, the others are kept for rollback."""
    table = schema.served
    query = sa.select(table).where(table.c.tenant == tenant, table.c.corpus == corpus, ~table.c.retired)
    return [_served(row) for row in state.rows(query.order_by(table.c.seq.desc()))]


def last_of(state: State, tenant: str, corpus: str, collection: str) -> Served | None:
    """How a collection was last served, retired states included; None if it never was."""
    table = schema.served
    own = (table.c.tenant == tenant, table.c.corpus == corpus, table.c.collection == collection)
    row = state.first(sa.select(table).where(*own).order_by(table.c.seq.desc()))
    return _served(row) if row else None


def serve(
    state: State,
    tenant: str,
    corpus: str,
    snapshot: Snapshot,
    *,
    content: str,
    rows: int,
    settings: dict[str, Any],
    origin: str = "build",
    retire: list[int] | None = None,
    pinned: bool = False,
) -> None:
    """Move the pointer to `snapshot`, in one transaction.

    Args:
        state: the state database.
        tenant, corpus: whose index.
        snapshot: what is served from now on.
        content, rows, settings, origin: see `Served`.
        retire: states that no rollback may reach any more.
        pinned: hold it against automation until `resume`.
    """
    table = schema.served
    row = {"tenant": tenant, "corpus": corpus, "collection": snapshot.collection, "version": snapshot.version}
    row |= {"content": content, "rows": rows, "settings": settings, "origin": origin}
    with state.write() as connection:
        connection.execute(table.insert().values(**row, served_at=now(), retired=False))
        if retire:
            connection.execute(table.update().where(table.c.seq.in_(retire)).values(retired=True))
        if pinned:
            pin_in(state, connection, tenant, "index", corpus)


def replace(
    state: State, tenant: str, corpus: str, replaced: Mapping[Snapshot, Snapshot], rows: Mapping[Snapshot, int]
) -> None:
    """Let every pointer name the replacement of its snapshot, in one transaction.

    Args:
        state: the state database.
        tenant, corpus: whose index.
        replaced: old snapshot to new.
        rows: chunks in each new snapshot.
    """
    table = schema.served
    with state.write() as connection:
        for old, new in replaced.items():
            own = (table.c.tenant == tenant, table.c.corpus == corpus, table.c.collection == old.collection)
            # The content is no longer what the tables held then: the next build compares row by row.
            values = {"version": new.version, "rows": rows[new]}
            values["content"] = digest(table.name, new.collection, str(new.version))
            connection.execute(table.update().where(*own, table.c.version == old.version).values(**values))


def confirm(state: State, seq: int, content: str, settings: dict[str, Any]) -> None:
    """What is served holds this content already: the pointer stays, and no second state is kept for rollback."""
    table = schema.served
    with state.write() as connection:
        connection.execute(table.update().where(table.c.seq == seq).values(content=content, settings=settings))


def retire(state: State, seqs: list[int]) -> None:
    """States that no rollback may reach any more."""
    if seqs:
        with state.write() as connection:
            connection.execute(schema.served.update().where(schema.served.c.seq.in_(seqs)).values(retired=True))


class ServedRows:
    """The served collection of a corpus as checks read it."""

    def __init__(self, platform: Platform, tenant: str, corpus: str) -> None:
        self._index = platform.index(tenant)
        self._served = served(platform.state, tenant, corpus)

    def count(self) -> int:
        """Chunks that are served."""
        return self._index.count(self._served.snapshot) if self._served else 0

    def column(self, name: str) -> list[str]:
        """`chunk_id` or `row_digest` of every served chunk."""
        rows = self._index.row_digests(self._served.snapshot) if self._served else {}
        return list(rows) if name == "chunk_id" else list(rows.values())


def is_pinned(state: State, tenant: str, kind: str, name: str) -> bool:
    """Whether automation may build, but not swap."""
    return state.first(_pin(tenant, kind, name)) is not None


def pin_in(state: State, connection: sa.Connection, tenant: str, kind: str, name: str) -> None:
    """Hold what is served until `resume`, in the transaction that moves it."""
    state.put_in(connection, schema.pins, [{"tenant": tenant, "kind": kind, "name": name, "pinned_at": now()}])


def resume(state: State, tenant: str, kind: str, name: str) -> bool:
    """Let automation swap again. Returns whether it was pinned."""
    pins = schema.pins
    with state.write() as connection:
        gone = connection.execute(
            pins.delete().where(pins.c.tenant == tenant, pins.c.kind == kind, pins.c.name == name)
        )
    return gone.rowcount > 0


def _pin(tenant: str, kind: str, name: str) -> sa.Select[Any]:
    pins = schema.pins
    return sa.select(pins).where(pins.c.tenant == tenant, pins.c.kind == kind, pins.c.name == name)


def _served(row: dict[str, Any]) -> Served:
    return Served(
        seq=row["seq"],
        snapshot=Snapshot(row["collection"], row["version"]),
        content=row["content"],
        rows=row["rows"],
        settings=row["settings"],
        served_at=row["served_at"],
        origin=row["origin"],
    )
