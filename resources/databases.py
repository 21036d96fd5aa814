"""How the project opens its small databases: SQLite on one host, PostgreSQL for several."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError

DRIVERS = {"sqlite", "postgresql", "postgresql+psycopg2"}
BUSY_SECONDS = 60  # how long a writer waits for another's transaction; decisions take milliseconds
CONNECT_SECONDS = 10


def read_url(url: str, what: str) -> sa.URL:
    """A database's URL.

    Raises:
        ValueError: it cannot be read, or names a driver that is not used here. It is not repeated in the message: it
            may hold a password at a place that nothing could recognise.
    """
    permitted = "permitted: sqlite:////path/file.db and postgresql+psycopg2://user:password@host/database"
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise ValueError(f"the {what}'s URL cannot be read; {permitted}") from None
    if parsed.drivername not in DRIVERS:
        raise ValueError(f"the {what}'s URL starts with '{parsed.drivername}://'; {permitted}")
    return parsed


def is_sqlite(url: sa.URL) -> bool:
    """Whether it is a file on this host."""
    return url.get_backend_name() == "sqlite"


def make_engine(url: sa.URL, *, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> sa.Engine:
    """An engine; a SQLite file's folder is made.

    Args:
        synchronous: SQLite's. FULL: what is committed survives a power loss. NORMAL: the file stays whole, and the
            last moments may be missing.
    """
    if not is_sqlite(url):
        return sa.create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_SECONDS})
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    def settings(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")

    event.listen(engine, "connect", settings)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: sa.Connection) -> None:
    # IMMEDIATE: a writer that reads first must not lose a race when it comes to write.
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def found_version(connection: sa.Connection, info: sa.Table) -> int | None:
    """The version of the schema that a database says it has; None: it has no tables of ours. Writes nothing."""
    if not sa.inspect(connection).has_table(info.name):
        return None
    return connection.execute(sa.select(info.c.version)).scalar()


def other_version(what: str, found: int, ours: int, way: str) -> str:
    """The message for a database of another version than this one reads; `way` says what to set instead."""
    newer = "update llm-assets, or " if found > ours else ""
    return f"{what} has schema {found}, this version reads {ours}: {newer}{way}"


def cause(error: BaseException) -> str:
    """What the driver said, in one line."""
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]
