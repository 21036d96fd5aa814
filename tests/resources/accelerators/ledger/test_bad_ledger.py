"""Guards against: a damaged or foreign ledger that is written to, or an error that does not say what to do."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources import databases
from resources.accelerators.configuration import Accelerators
from resources.accelerators.errors import LedgerError
from resources.accelerators.ledger.ledger import Ledger
from tests.resources.accelerators.ledger.claimant import asks
from tests.resources.accelerators.ledger.scenes import claimants, ledger_of, until


def test_a_newer_version_is_refused_and_left_alone(state_url: str) -> None:
    ledger_of(state_url, 1)
    engine = sa.create_engine(state_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE schema_info SET version = 99")
        connection.exec_driver_sql("DROP TABLE leases")
    with pytest.raises(LedgerError, match=r"schema 99.*reads 1: update llm-assets"):
        Ledger(state_url, Accelerators())
    assert not sa.inspect(engine).has_table("leases")
    engine.dispose()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(b"GPU ledger\n" * 1000)
    with pytest.raises(LedgerError, match=r"ledger\.db.*not a database.*move the file away"):
        Ledger(f"sqlite:///{file}", Accelerators())
    assert file.read_bytes().startswith(b"GPU ledger")


def test_a_file_that_is_damaged_while_in_use_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    ledger = ledger_of(f"sqlite:///{file}", 1)
    ledger.close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged = bytearray(file.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)  # all pages but the first
    file.write_bytes(damaged)
    with pytest.raises(LedgerError, match=r"ledger\.db.*(malformed|not a database).*move the file away"):
        ledger.claim(asks("a"))


@pytest.mark.parametrize("another", [False, True])
def test_a_file_that_is_taken_away_while_in_use_grants_nothing_more(tmp_path: Path, another: bool) -> None:
    """The open file can still be written; whoever opens the new one would grant the same device a second time."""
    file = tmp_path / "ledger.db"
    ledger = ledger_of(f"sqlite:///{file}", 1)
    kept = file.rename(tmp_path / "kept")
    if another:
        ledger_of(f"sqlite:///{file}", 1)
    with pytest.raises(LedgerError, match=r"ledger\.db: its file was deleted or replaced.*put it back"):
        ledger.claim(asks("a"))
    kept.rename(file)
    assert ledger.claim(asks("a"))


def test_a_read_only_file_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.db"
        ledger_of(f"sqlite:///{file}", 1).close()
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        with _nobody(), pytest.raises(LedgerError, match=r"ledger\.db.*must be able to write"):
            Ledger(f"sqlite:///{file}", Accelerators()).claim(asks("a"))
        Path(folder).chmod(0o755)


def test_a_writer_that_is_paused_is_waited_for_and_then_named(
    state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "BUSY_SECONDS", 0.3)
    ledger = ledger_of(state_url, 1)
    with claimants(state_url) as [other]:
        other.order("begin")
        assert other.answer() == "writing"
        other.pause()
        with pytest.raises(LedgerError, match=r"(locked|lock timeout).*is one paused"):
            ledger.claim(asks("a"))
        other.kill()
    until(lambda: ledger.claim(asks("a")))


@pytest.mark.parametrize("url", ["mysql://user:secret@host/x", "not a url"])
def test_a_url_that_cannot_be_used_says_what_can_and_hides_the_password(url: str) -> None:
    with pytest.raises(LedgerError, match=r"permitted: sqlite:.*accelerators\.yml") as error:
        Ledger(url, Accelerators())
    assert "secret" not in str(error.value)


def test_processes_that_open_a_new_ledger_at_once_make_one(state_url: str) -> None:
    failed: list[BaseException] = []

    def open_it() -> None:
        try:
            Ledger(state_url, Accelerators()).changes()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []


@contextmanager
def _nobody() -> Iterator[None]:
    """Root may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
