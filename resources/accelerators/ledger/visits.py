"""Looking for the dead, and deciding anew as time has passed: once a second on a host, whichever process does it."""

from __future__ import annotations

import time

from resources.accelerators.ledger.liveness import this_host
from resources.accelerators.ledger.queue import NOTED
from resources.accelerators.ledger.reaping import Reaper, bury
from resources.accelerators.ledger.records import Reaped
from resources.accelerators.ledger.settling import settle
from resources.accelerators.ledger.store import Store

VISIT_SECONDS = 1.0
NAME = "reaped/"  # before a host's name, in the table of visits


class Visits:
    """The visits that this process makes."""

    def __init__(self, store: Store) -> None:
        self._store, self._reaper, self._next = store, Reaper(), 0.0

    def visit(self) -> bool:
        """Reap, if that is due. Returns whether it was."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + VISIT_SECONDS
        store = self._store
        with store.database.lock, store.database.plainly():
            found = store.database.rows("SELECT visited_at FROM visits WHERE name = ?", (NAME + this_host(),))
        if found and 0 <= store.clock() - found[0][0] < VISIT_SECONDS:
            return False  # another process was here just now
        self.reap()
        return True

    def reap(self) -> Reaped:
        """Reap now."""
        store = self._store
        with store.database.lock:
            with store.reading(), store.database.plainly():
                findings = self._reaper.look(store.database, store.mirror, store.clock())
            with store.writing(settled=False) as transaction:
                reaped = bury(transaction, findings)
                settle(transaction, store.policy)  # also where nobody has died: priorities rise, offers lapse
                transaction.database.run(NOTED, (NAME + this_host(), transaction.now))
        self._next = time.monotonic() + VISIT_SECONDS
        return reaped
