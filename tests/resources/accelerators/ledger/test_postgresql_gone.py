"""Guards against: a second lease for a step, or a half-made one, when the server goes away in the middle."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.accelerators.errors import LeaseLost, LedgerError
from resources.accelerators.ledger import ledger as ledger_module
from resources.accelerators.ledger.ledger import Ledger
from tests.resources.accelerators.ledger.claimant import asks
from tests.resources.accelerators.ledger.scenes import ledger_of
from tests.resources.conftest import NO_SERVER, Server, server_programs


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own, to be stopped in the middle."""
    programs = server_programs()
    if programs is None:
        pytest.skip(NO_SERVER)
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = Server(programs, folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.xdist_group("postgresql")
def test_a_server_that_stops_is_a_clear_error_and_the_lease_outlives_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ledger_of(server.new_database(), 1)
    lease = ledger.claim(asks("a"))
    assert lease is not None
    server.stop()
    for ask in (lambda: ledger.claim(asks("a")), lambda: ledger.renew(lease.id), ledger.view, ledger.changes):
        with pytest.raises(LedgerError, match=r"127\.0\.0\.1.*ask again") as error:
            ask()
        assert "not-to-be-shown" not in str(error.value)
    monkeypatch.setattr(ledger_module, "LAST_SECONDS", 0)
    with pytest.raises(LeaseLost, match=r"could not be renewed"):
        ledger.renew(lease.id)
    server.resume()
    assert ledger.claim(asks("a")) == lease
    assert ledger.claim(asks("b")) is None
    assert ledger.renew(lease.id) == lease


@pytest.mark.xdist_group("postgresql")
@pytest.mark.parametrize("moment", ["before", "within"])
def test_a_broken_connection_leaves_nothing_half_done(postgresql: Server, moment: str) -> None:
    url = postgresql.new_database()
    ledger = ledger_of(url, 1)
    if moment == "before":  # nothing was under way: it connects again by itself
        _break_connections(url)
        assert ledger.claim(asks("a")) is not None
        return
    with pytest.raises(LedgerError):
        _ask_and_break(ledger, url)
    assert not ledger.view().waiting
    lease = ledger.claim(asks("a"))
    assert lease is not None
    assert ledger.claim(asks("a")) == lease
    assert len(ledger.view().leases) == 1


def _ask_and_break(ledger: Ledger, url: str) -> None:
    with ledger._store.writing() as transaction:
        transaction.put_waiting(asks("a"))
        _break_connections(url)


def _break_connections(url: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    engine.dispose()
