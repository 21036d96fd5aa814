"""One connection to the ledger's database, with plain SQL: between two decisions there is no time for more.

SQLite is written in WAL mode with `synchronous=NORMAL`. A power loss may take the last transactions, never half of
one. That is enough: it also ends every process, and the next boot has another id. A lease whose row is lost was held
by a dead process; a release that is lost leaves a lease whose holders are of an earlier boot, and is freed. What an
operator orders (`drain`) and what is registered is written through (`durable`).
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from resources import databases, locks
from resources.accelerators.errors import LedgerError
from resources.accelerators.ledger.schema import SCHEMA_VERSION, counter, metadata, schema_info
from resources.databases import cause, found_version, is_sqlite, make_engine, other_version, read_url

LOCK_KEY = 0x6C6C6D2D6C656467  # of the advisory lock under which every transaction on PostgreSQL runs: "llm-ledg"
HEARS_OF_DEATH = 140_000  # PostgreSQL 14 notices that a client is gone while its session waits
FULL = ("too many clients", "remaining connection slots")  # what a server says that has no connection left
CHECKPOINT_PAGES = 8000  # SQLite writes its log back, and waits for the disk, every 32 MB instead of every 4
TURN_SECONDS = 0.003  # between two tries for the turn to write
RETRY_SECONDS = (0.0005, 0.004)  # between two tries for SQLite's write lock: its own waits grow to 0.1 s
T = TypeVar("T")
_inherited: list[object] = []  # connections of a parent process: closing one here would disturb it there


class Database:
    """The database of one URL. Used by one thread at a time: callers hold `lock`.

    Raises:
        LedgerError: it was made by a newer version, or cannot be opened.
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = read_url(url, "ledger")
        except ValueError as error:
            raise LedgerError(f"{error}. Set `ledger` in accelerators.yml") from None
        self.sqlite = is_sqlite(self._url)
        self._path = Path(self._url.database or "")
        self._connection: Any = None
        self._durable = False
        self._pid, self._lock = os.getpid(), threading.RLock()
        self._begin_write = "BEGIN IMMEDIATE" if self.sqlite else f"BEGIN; SELECT pg_advisory_xact_lock({LOCK_KEY})"
        self._begin_read = "BEGIN" if self.sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        self._prepare()
        self._file = self._file_now()

    @property
    def lock(self) -> threading.RLock:
        """Held by the thread that uses the connection. A forked child has a lock and a connection of its own."""
        if self._pid != os.getpid():
            _inherited.append(self._connection)
            self._pid, self._lock, self._connection = os.getpid(), threading.RLock(), None
            self._durable = False
        return self._lock

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query. Parameters are written `?`."""
        cursor = self._cursor()
        cursor.execute(self._sql(sql), values)
        return cursor.fetchall()

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows that it changed."""
        cursor = self._cursor()
        cursor.execute(self._sql(sql), values)
        return cursor.rowcount

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each row of values; on a server in one round trip for every hundred."""
        if self.sqlite:
            self._cursor().executemany(sql, rows)
        else:
            from psycopg2.extras import execute_batch

            execute_batch(self._cursor(), self._sql(sql), rows)

    @contextmanager
    def plainly(self) -> Iterator[None]:
        """What the database refuses is said in one sentence; a statement that is wrong stays what it is."""
        try:
            yield
        except self._mistakes:
            raise
        except self._errors as error:
            self._drop()
            raise self._plain(error) from error

    @contextmanager
    def transaction(self, *, write: bool, durable: bool = False) -> Iterator[None]:
        """All of it or nothing.

        Args:
            write: alone among all writers; else a view of one moment.
            durable: it survives a power loss, at the price of a wait for the disk.
        """
        with self.plainly(), self._turn(write):
            self._begin(write, durable)
            try:
                yield
            except BaseException:
                with suppress(*self._errors):
                    self._cursor().execute("ROLLBACK")
                raise
            self._cursor().execute("COMMIT")

    def peek(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The first row of a query outside of a transaction; cheap."""
        self._check_file()
        with self.plainly():
            return tuple(self._again_if_gone(lambda: self.rows(sql, values))[0])

    def changes(self) -> int:
        """How often the ledger has changed."""
        return self.peek("SELECT changes FROM counter")[0]

    def clock(self) -> float:
        """Seconds since the epoch; the server's, where there is one: hosts may disagree."""
        if self.sqlite:
            return time.time()
        return self.rows("SELECT extract(epoch FROM clock_timestamp())::float8")[0][0]

    def close(self) -> None:
        """Close the connection; the next statement opens another."""
        with self.lock:
            self._drop()
            self._engine.dispose(close=False)

    def _file_now(self) -> tuple[int, int] | None:
        """What tells SQLite's file from another of the same name; None: there is none, or it is a server's."""
        if not self.sqlite:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _check_file(self) -> None:
        """A file that was deleted can still be written, while others make a new one and grant the same devices."""
        if self._file_now() != self._file:
            raise LedgerError(
                f"ledger {self.name}: its file was deleted or replaced while it was in use. Way out: put it back, or "
                "start this process again once the work of its leases has ended; nothing is granted meanwhile"
            )

    def _begin(self, write: bool, durable: bool) -> None:
        self._check_file()
        if self.sqlite and write:
            if durable != self._durable:
                self._cursor().execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            return self._begin_alone()
        self._again_if_gone(lambda: self._cursor().execute(self._begin_write if write else self._begin_read))

    def _again_if_gone(self, first: Callable[[], T]) -> T:
        """The server was restarted while nothing was under way here: nothing is lost by a second try."""
        fresh = self._connection is None
        try:
            return first()
        except self._errors:
            if fresh or self.sqlite:
                raise
            self._drop()
            return first()

    @contextmanager
    def _turn(self, write: bool) -> Iterator[None]:
        """SQLite's writers wait at a file lock first. To ask SQLite costs twenty times as much: two hundred that ask
        at once leave the one that writes no time to come to its end.
        """
        with ExitStack() as held:
            if self.sqlite and write:
                name = f"{self._path.name}.writer"
                try:
                    held.enter_context(
                        locks.file_lock(self._path.parent, name, None, databases.BUSY_SECONDS, TURN_SECONDS)
                    )
                except TimeoutError:
                    raise self._plain(TimeoutError("database is locked")) from None
                except OSError:
                    pass  # read-only, or full: SQLite says it better
            yield

    def _begin_alone(self) -> None:
        """Wait for SQLite's write lock. An error on the way out closes the connection, and with it its settings."""
        started = time.monotonic()
        self._cursor().execute("PRAGMA busy_timeout = 0")
        while not self._began():
            waited = time.monotonic() - started
            if waited > databases.BUSY_SECONDS:
                raise self._plain(TimeoutError("database is locked"))
            # Who has waited long tries more often, so that nobody is passed for ever.
            time.sleep(random.uniform(*RETRY_SECONDS) / (1 + waited))  # noqa: S311  (not for secrets)
        self._cursor().execute(f"PRAGMA busy_timeout = {int(databases.BUSY_SECONDS * 1000)}")

    def _began(self) -> bool:
        try:
            self._cursor().execute(self._begin_write)
        except self._errors as error:
            if "locked" in str(error):
                return False
            raise
        return True

    def _cursor(self) -> Any:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection.cursor()

    def _connect(self) -> Any:
        pooled = self._pooled()
        connection: Any = pooled.driver_connection
        pooled.detach()
        if self.sqlite:
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        else:
            connection.autocommit = True  # transactions are begun in plain SQL
            milliseconds = int(databases.BUSY_SECONDS * 1000)
            # A process that is paused within a transaction must not hold up everybody for ever.
            limits = {"lock_timeout": milliseconds, "idle_in_transaction_session_timeout": milliseconds}
            if connection.server_version >= HEARS_OF_DEATH:
                limits["client_connection_check_interval"] = 1000  # else a dead process's session queues for the lock
            connection.cursor().execute("; ".join(f"SET {limit} = {value}" for limit, value in limits.items()))
        return connection

    def _pooled(self) -> Any:
        """A new connection; a server that has none left is asked again for a while."""
        deadline = time.monotonic() + databases.BUSY_SECONDS
        while True:
            try:
                return self._engine.raw_connection()
            except self._errors as error:
                if not any(sign in str(error) for sign in FULL) or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311  (not for secrets)

    def _drop(self) -> None:
        connection, self._connection, self._durable = self._connection, None, False
        if connection is not None:
            with suppress(*self._errors):
                connection.close()

    def _know_errors(self) -> None:
        driver: Any = self._engine.dialect.dbapi
        self._errors = (driver.Error, SQLAlchemyError)
        self._mistakes = (driver.IntegrityError, driver.ProgrammingError)

    def _sql(self, sql: str) -> str:
        return sql if self.sqlite else _with_percent(sql)

    def _prepare(self) -> None:
        try:
            self._engine = make_engine(self._url, synchronous="NORMAL")
            self._know_errors()
            with self.plainly():
                self._pooled().close()  # back into the pool, for the next line
            with self._engine.connect().execution_options(read_only=True) as connection:
                made = self._made(connection)
            if not made:
                with self._alone(), self._engine.begin() as connection:
                    self._make(connection)
        except (SQLAlchemyError, OSError) as error:
            raise self._plain(error) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two processes that open a new ledger at once must not both make its tables."""
        if self.sqlite:
            file = Path(self._url.database or "ledger")
            with locks.file_lock(file.parent, f"{file.name}.schema", None, databases.BUSY_SECONDS):
                yield
        else:
            with locks.advisory_lock(self._engine, "ledger/schema", None, databases.BUSY_SECONDS):
                yield

    def _made(self, connection: sa.Connection) -> bool:
        """Whether its tables are there. Nothing is written: a ledger of another version stays as it is."""
        found = found_version(connection, schema_info)
        if found is not None and found != SCHEMA_VERSION:
            way = "set `ledger` in accelerators.yml to another one"
            raise LedgerError(other_version(f"ledger {self.name}", found, SCHEMA_VERSION, way))
        return found is not None

    def _make(self, connection: sa.Connection) -> None:
        if not self._made(connection):
            metadata.create_all(connection)
            connection.execute(schema_info.insert().values(version=SCHEMA_VERSION))
            connection.execute(counter.insert().values(id=1, changes=0, forgotten=0))

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self._url.render_as_string(hide_password=True)

    def _plain(self, error: Exception) -> LedgerError:
        said = cause(error)
        ways = {
            " lock": "another process has been writing to it for too long; is one paused? Then ask again",
            "readonly": "this user must be able to write the file and its folder",
            "malformed": "move the file away: a new one is made, and nothing runs meanwhile",
            "not a database": "move the file away, or set `ledger` in accelerators.yml to another one",
        }
        way = next(
            (way for sign, way in ways.items() if sign in said), "mend that, and ask again: what it granted is kept"
        )
        return LedgerError(f"ledger {self.name}: {said}. Way out: {way}")


@lru_cache(maxsize=256)
def _with_percent(sql: str) -> str:
    return sql.replace("?", "%s")
