"""What the tracking server has still to be told: rows of the state database, sent in their order."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from resources import state_schema as schema
from resources.state import State, now

Kind = Literal["run", "metrics", "ended", "artifact", "version", "alias"]


@dataclass(frozen=True)
class Item:
    """One thing to be told.

    Attributes:
        seq: its place in the order.
        run_key: the run it is about.
        kind: what `content` is.
        content: plain values.
        attempts: how often a server that was there has failed on it.
    """

    seq: int
    run_key: str
    kind: Kind
    content: dict[str, Any]
    attempts: int


@dataclass(frozen=True)
class Heard:
    """What was last heard of a server.

    Attributes:
        waiting: things that it has still to be told.
        refused: things that it will never take.
        put_off: things that it has failed on, which are tried again later.
        failure: why the last attempt to reach it failed; None after one that did not.
        failed_at: when that was, in seconds since the epoch; 0 without a failure.
    """

    waiting: int
    refused: int
    put_off: int
    failure: str | None
    failed_at: float


def note(connection: sa.Connection, run_key: str, kind: Kind, content: Mapping[str, Any]) -> None:
    """Put a thing at the end, inside a transaction of the caller: both are kept, or none."""
    row = {"run_key": run_key, "kind": kind, "content": dict(content), "noted_at": now(), "attempts": 0}
    connection.execute(schema.tracking_outbox.insert().values(**row))


def first(state: State) -> Item | None:
    """What is to be told next."""
    table = schema.tracking_outbox
    row = state.first(sa.select(table).where(table.c.refused.is_(None)).order_by(table.c.seq).limit(1))
    return Item(row["seq"], row["run_key"], row["kind"], row["content"], row["attempts"]) if row else None


def waits_since(state: State) -> float | None:
    """When that was noted, in seconds since the epoch; None if nothing waits."""
    table = schema.tracking_outbox
    row = state.first(sa.select(table.c.noted_at).where(table.c.refused.is_(None)).order_by(table.c.seq).limit(1))
    return row["noted_at"] if row else None


def done(state: State, item: Item) -> None:
    """It was told. An alias that has moved makes what was put off of its earlier moves idle."""
    table = schema.tracking_outbox
    with state.write() as connection:
        connection.execute(table.delete().where(table.c.seq == item.seq))
        if item.kind == "alias":
            earlier = sa.select(table.c.seq, table.c.content).where(table.c.kind == "alias", table.c.seq < item.seq)
            moves = [row.seq for row in connection.execute(earlier) if row.content["model"] == item.content["model"]]
            connection.execute(table.delete().where(table.c.seq.in_(moves)))


def failed(state: State, item: Item) -> None:
    """A server that was there has failed on it; it is still the next."""
    table = schema.tracking_outbox
    with state.write() as connection:
        connection.execute(table.update().where(table.c.seq == item.seq).values(attempts=item.attempts + 1))


def refuse(state: State, item: Item, reason: str, again_in: float | None) -> None:
    """Take out of the order what a server fails on: for ever, or for so many seconds."""
    table, put_off = schema.tracking_outbox, schema.tracking_put_off
    change = {"attempts": item.attempts + 1, "refused": reason}
    with state.write() as connection:
        connection.execute(table.update().where(table.c.seq == item.seq).values(**change))
        if again_in is not None:
            state.put_in(connection, put_off, [{"seq": item.seq, "at": now() + again_in}])


def put_back(state: State) -> int:
    """Put what was put off until now back into the order, at its place. Returns how many."""
    put_off = schema.tracking_put_off
    with state.read() as connection:
        due = list(connection.execute(sa.select(put_off.c.seq).where(put_off.c.at <= now())).scalars())
    return _put_back(state, due, {}) if due else 0


def refused(state: State) -> list[dict[str, Any]]:
    """What was refused, oldest first: `run_key`, `kind`, `refused`."""
    table = schema.tracking_outbox
    columns = (table.c.run_key, table.c.kind, table.c.refused)
    return state.rows(sa.select(*columns).where(table.c.refused.is_not(None)).order_by(table.c.seq))


def try_again(state: State) -> int:
    """Put what was refused back into the order. Returns how many."""
    table = schema.tracking_outbox
    with state.read() as connection:
        all_of_it = list(connection.execute(sa.select(table.c.seq).where(table.c.refused.is_not(None))).scalars())
    return _put_back(state, all_of_it, {"attempts": 0})


def _put_back(state: State, seqs: list[int], change: Mapping[str, Any]) -> int:
    table, put_off = schema.tracking_outbox, schema.tracking_put_off
    with state.write() as connection:
        connection.execute(put_off.delete().where(put_off.c.seq.in_(seqs)))
        again = table.update().where(table.c.seq.in_(seqs)).values(refused=None, **change)
        return connection.execute(again).rowcount


def heard(state: State, destination: str) -> Heard:
    """What waits, and what was last heard of the server at `destination`."""
    table, servers, later = schema.tracking_outbox, schema.tracking_servers, schema.tracking_put_off
    count = sa.select(sa.func.count()).select_from(table)
    with state.read() as connection:
        waiting = connection.execute(count.where(table.c.refused.is_(None))).scalar_one()
        lost = connection.execute(count.where(table.c.refused.is_not(None))).scalar_one()
        put_off = connection.execute(count.where(table.c.seq.in_(sa.select(later.c.seq)))).scalar_one()
        asked = sa.select(servers.c.failure, servers.c.failed_at).where(servers.c.destination == destination)
        failure, failed_at = connection.execute(asked).one_or_none() or (None, None)
    return Heard(waiting, lost - put_off, put_off, failure, (failed_at or 0.0) if failure else 0.0)


def hear(state: State, destination: str, failure: str | None) -> None:
    """Note that the server was reached, or why it was not."""
    change = {"failed_at": now(), "failure": failure} if failure else {"reached_at": now(), "failure": None}
    servers = schema.tracking_servers
    with state.write() as connection:
        connection.execute(servers.update().where(servers.c.destination == destination).values(**change))


def source(state: State, destination: str) -> str:
    """The name that this state database has for a server: two of them may tell one server of equal runs."""
    servers = schema.tracking_servers
    with state.lock("tracking-source"):
        row = state.first(sa.select(servers.c.source).limit(1))
        name = row["source"] if row else uuid.uuid4().hex[:12]
        if state.first(sa.select(servers).where(servers.c.destination == destination)) is None:
            state.put(servers, [{"destination": destination, "source": name}])
    return name
