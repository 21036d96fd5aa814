"""Locks across processes and hosts that a dead holder cannot keep."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from resources.digests import digest

if TYPE_CHECKING:
    import sqlalchemy as sa

POLL_SECONDS = 0.1
NAME_CHARS = 200  # file systems take 255 bytes, and an escaped Japanese character has nine


@contextmanager
def file_lock(
    folder: Path,
    name: str,
    on_wait: Callable[[str], None] | None,
    timeout: float | None,
    poll_seconds: float = POLL_SECONDS,
    *,
    shared: bool = False,
) -> Iterator[None]:
    """A `flock` on a file named after the lock; the kernel drops it when its holder dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _file_name(name)).open("a") as file:
        _poll(lambda: _try_flock(file.fileno(), shared), name, on_wait, timeout, poll_seconds)
        yield


@contextmanager
def advisory_lock(
    engine: sa.Engine,
    name: str,
    on_wait: Callable[[str], None] | None,
    timeout: float | None,
    *,
    shared: bool = False,
) -> Iterator[None]:
    """A PostgreSQL advisory lock; the server drops it with its holder's connection."""
    import sqlalchemy as sa
    from sqlalchemy.exc import SQLAlchemyError

    key = int(digest(name)[:15], 16)  # 60 bits: fits PostgreSQL's signed 64
    take = sa.func.pg_try_advisory_lock_shared if shared else sa.func.pg_try_advisory_lock
    leave = sa.func.pg_advisory_unlock_shared if shared else sa.func.pg_advisory_unlock
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _poll(
            lambda: bool(connection.execute(sa.select(take(key))).scalar()),
            name,
            on_wait,
            timeout,
        )
        try:
            yield
        finally:
            # A connection that broke took the lock with it; that must not hide how the body ended.
            with suppress(SQLAlchemyError):
                connection.execute(sa.select(leave(key)))


def _file_name(name: str) -> str:
    """Readable where it can be; a name that is too long for a file is cut and told apart by its digest."""
    quoted = quote(name, safe="")
    return f"{quoted if len(quoted) <= NAME_CHARS else quoted[:NAME_CHARS] + digest(name)}.lock"


def _try_flock(descriptor: int, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _poll(
    take: Callable[[], bool],
    name: str,
    on_wait: Callable[[str], None] | None,
    timeout: float | None,
    poll_seconds: float = POLL_SECONDS,
) -> None:
    deadline = None if timeout is None else time.monotonic() + timeout
    waiting = False
    while not take():
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError(f"lock '{name}' is still held by another process after {timeout:g} s")
        if on_wait and not waiting:
            on_wait(name)
        waiting = True
        time.sleep(poll_seconds)
