"""The state database: the small facts that decide what is done next and what is served.

Document status, which collection of an index is served, which version of a model is promoted, what was
evaluated, what was forgotten. SQLite on one host, PostgreSQL for several; the large columns (text, vectors)
live in Lance (`resources/tables.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from resources import locks
from resources.databases import cause, found_version, is_sqlite, make_engine, other_version, read_url
from resources.state_schema import SCHEMA_VERSION, installation, metadata, schema_info

Row = Mapping[str, Any]


class StateError(RuntimeError):
    """The state database cannot be used as it is; the message says why and what to do."""


class State:
    """One state database.

    Args:
        url: SQLAlchemy URL: `sqlite:////path/state.db` or `postgresql://user:password@host/database`.
        locks_dir: where lock files lie when the database is SQLite; PostgreSQL keeps its own locks. The folder that
            it is in is what rows name files below: it may be moved.

    Raises:
        StateError: the database was made by a newer version, or cannot be opened.
    """

    def __init__(self, url: str, locks_dir: Path) -> None:
        try:
            self._url = read_url(url, "state database")
        except ValueError as error:
            raise StateError(str(error)) from None
        self._locks_dir = locks_dir
        self._prepare()

    @property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine, for modules that keep tables of their own in this database."""
        return self._engine

    @cached_property
    def installation(self) -> str:
        """What tells this state database from every other one, made when it is first asked for."""
        query = sa.select(installation.c.id)
        if (row := self.first(query)) is None:
            made = self.insert(installation).values(row=1, id=uuid4().hex[:12])
            with self.write() as connection:
                connection.execute(made.on_conflict_do_nothing())
            row = self.first(query)
        return str(row["id"]) if row else ""

    def kept_path(self, path: Path) -> str:
        """A path as rows keep it: below the state folder, or the whole of it where it lies elsewhere."""
        folder = self._locks_dir.parent
        return str(path.relative_to(folder) if path.is_relative_to(folder) else path)

    def path_of(self, kept: str) -> Path:
        """Where a path that a row has kept lies now."""
        return self._locks_dir.parent / kept

    def lock(
        self,
        name: str,
        *,
        on_wait: Callable[[str], None] | None = None,
        timeout: float | None = None,
        shared: bool = False,
    ) -> AbstractContextManager[None]:
        """Hold the lock `name` against every other process and host on this state database.

        A dead holder's lock is free at once: the operating system or the server drops it.

        Args:
            name: what is locked, for example `sample/legal/documents`.
            on_wait: called once with the lock's name if somebody else holds it.
            timeout: seconds to wait; None waits as long as it takes.
            shared: together with others who hold it so, against those who do not.

        Raises:
            TimeoutError: the lock was not free within `timeout`.
        """
        if is_sqlite(self._url):
            return locks.file_lock(self._locks_dir, name, on_wait, timeout, shared=shared)
        return locks.advisory_lock(self._engine, name, on_wait, timeout, shared=shared)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One write transaction: all of it or nothing."""
        with self._plainly(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to read from."""
        with self._plainly(), self._engine.connect().execution_options(read_only=True) as connection:
            yield connection

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """The database is locked, damaged, full or gone: said in one sentence. A wrong statement stays what it is."""
        try:
            yield
        except (OperationalError, DatabaseError) as error:
            if type(error) not in (OperationalError, DatabaseError):
                raise
            raise StateError(
                f"state database {self._safe_url()}: {cause(error)}. Mend that, and run it again: "
                "what was finished is kept"
            ) from error

    def rows(self, query: sa.Executable) -> list[dict[str, Any]]:
        """All rows of a query, as dictionaries."""
        with self.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def first(self, query: sa.Executable) -> dict[str, Any] | None:
        """The first row of a query, or None."""
        with self.read() as connection:
            row = connection.execute(query).mappings().first()
            return dict(row) if row else None

    def put(self, table: sa.Table, rows: Sequence[Row]) -> None:
        """Insert rows, or update those whose primary key is there, in one transaction."""
        if rows:
            with self.write() as connection:
                self.put_in(connection, table, rows)

    def put_in(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
        """`put` inside a transaction that the caller holds."""
        insert = self.insert(table)
        keys = [column.name for column in table.primary_key]
        changes = {name: insert.excluded[name] for name in rows[0] if name not in keys}
        statement = (
            insert.on_conflict_do_update(index_elements=keys, set_=changes)
            if changes
            else insert.on_conflict_do_nothing(index_elements=keys)
        )
        connection.execute(statement, list(rows))

    def insert(self, table: sa.Table) -> Any:  # the two dialects' inserts have no common type
        """An INSERT of this database's dialect, which knows ON CONFLICT."""
        return _insert_of(self._url)(table)

    def _prepare(self) -> None:
        try:
            self._engine = make_engine(self._url)
            with self.lock("schema"), self._engine.begin() as connection:
                self._check_version(connection)
                metadata.create_all(connection)
        except (SQLAlchemyError, OSError) as error:
            raise StateError(f"state database {self._safe_url()} cannot be opened: {cause(error)}") from error

    def _check_version(self, connection: sa.Connection) -> None:
        """Before anything is written: a database of another version stays as it is."""
        found = found_version(connection, schema_info)
        if found is None:
            schema_info.create(connection, checkfirst=True)
            connection.execute(schema_info.insert().values(version=SCHEMA_VERSION))
        elif found != SCHEMA_VERSION:
            way = "point the target in profiles.yml to another state_dir or state_url"
            raise StateError(other_version(f"state database {self._safe_url()}", found, SCHEMA_VERSION, way))

    def _safe_url(self) -> str:
        return self._url.render_as_string(hide_password=True)


def now() -> float:
    """Seconds since the epoch; the one clock of the state database."""
    return time.time()


def _insert_of(url: sa.URL) -> Callable[[sa.Table], Any]:
    if is_sqlite(url):
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert
    return insert
