"""Guards against: a decision on what is not so any more, and the whole ledger read for every decision."""

from __future__ import annotations

import os
import time

import pytest

from resources.accelerators.configuration import Accelerators
from resources.accelerators.ledger import history
from resources.accelerators.ledger.database import Database
from resources.accelerators.ledger.ledger import Ledger, open_ledger
from tests.resources.accelerators.ledger.claimant import asks
from tests.resources.accelerators.ledger.scenes import gpus, host, ledger_of


def _same(one: Ledger, other: Ledger) -> bool:
    first, second = one.view(), other.view()
    return all(
        dict(getattr(first, name)) == dict(getattr(second, name))
        for name in ("devices", "hosts", "waiting", "leases")
    )


def test_a_process_knows_what_another_has_changed(state_url: str) -> None:
    one = ledger_of(state_url, 2)
    other = Ledger(state_url, Accelerators())
    for step in (
        lambda: one.claim(asks("a")),
        lambda: other.claim(asks("b")),
        lambda: one.claim(asks("c")),
        lambda: other.drain(gpus(1)[0].id, "why"),
        lambda: one.withdraw("c"),
        lambda: other.release("a"),
    ):
        step()
        assert _same(one, other)
        assert _same(one, Ledger(state_url, Accelerators())), "a new process reads the same"


def test_only_what_has_changed_is_read(state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ledger_of(state_url, 40)
    other = Ledger(state_url, Accelerators())
    other.view()
    one.claim(asks("a"))
    read: list[int] = []
    real = Database.rows

    def counted(self: Database, sql: str, values: tuple[object, ...] = ()) -> list[object]:
        found = real(self, sql, values)
        read.append(len(found))
        return found

    monkeypatch.setattr(Database, "rows", counted)
    other.lease_of("a", "step")
    assert sum(read) <= 5  # the counter twice, the lease, the request that waits no more


def test_a_view_does_not_change_under_its_reader(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    view = ledger.view()
    ledger.claim(asks("a"))
    assert not view.leases
    assert ledger.view().leases


def test_a_process_that_missed_rows_that_are_forgotten_reads_anew(
    state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "LEASES_KEPT", 0)
    monkeypatch.setattr(history, "WAITING_KEPT", 0)
    one, other = ledger_of(state_url, 1), Ledger(state_url, Accelerators())
    one.claim(asks("a"))
    assert other.view().leases
    one.release("a")
    one.register(host(), gpus(1))
    assert one.history(0, time.time() + 1) == []
    assert not other.view().leases


def test_waiting_for_a_change_ends_with_it_or_in_time(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    seen = ledger.changes()
    begun = time.monotonic()
    assert not ledger.wait_for_change(seen, 0.3)
    assert 0.3 <= time.monotonic() - begun < 2
    ledger.claim(asks("a"))
    assert ledger.wait_for_change(seen, 30)


def test_waiting_costs_less_than_half_a_percent_of_a_core(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    seen, begun = ledger.changes(), time.process_time()
    ledger.wait_for_change(seen, 2)
    assert time.process_time() - begun < 0.005 * 2


def test_a_forked_child_goes_on_with_a_connection_of_its_own(state_url: str) -> None:
    ledger = ledger_of(state_url, 2)
    ledger.claim(asks("a"))
    pid = os.fork()
    if pid == 0:
        os._exit(0 if ledger.claim(asks("b")) and ledger.lease_of("a", "step") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ledger.lease_of("a", "step") is not None
    assert ledger.claim(asks("c")) is not None, "the child's lease ended with it"


def test_one_ledger_is_opened_for_a_url_and_a_configuration(state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_ASSETS_LEDGER_URL", state_url)
    assert open_ledger() is open_ledger()
