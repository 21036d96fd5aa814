"""The rows and this process's mirror of them, read and written in step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from resources.accelerators.catalogue import catalogue
from resources.accelerators.configuration import Accelerators
from resources.accelerators.deciding.rules import Rules
from resources.accelerators.deciding.state import State
from resources.accelerators.ledger.database import Database
from resources.accelerators.ledger.mirror import Mirror
from resources.accelerators.ledger.settling import settle
from resources.accelerators.ledger.transaction import Transaction
from resources.accelerators.placement.policy import policy_of


class Store:
    """A database with its mirror.

    Attributes:
        database, mirror: used by the thread that is in `reading` or `writing`.
        policy: how a device is chosen.
    """

    def __init__(self, url: str, accelerators: Accelerators) -> None:
        self.database = Database(url)
        self.mirror = Mirror(Rules.of(accelerators))
        self.policy = policy_of(accelerators.policy, catalogue)

    @contextmanager
    def reading(self) -> Iterator[State]:
        """The state as it is now; it holds still while this thread is in here."""
        with self.database.lock:
            if self.database.changes() != self.mirror.changes:
                try:
                    with self.database.transaction(write=False):
                        self.mirror.refresh(self.database)
                except BaseException:
                    self.mirror.forget()
                    raise
            yield self.mirror.state

    @contextmanager
    def writing(self, *, durable: bool = False, settled: bool = True) -> Iterator[Transaction]:
        """One transaction, alone among all writers; what follows from its changes is decided before it ends.

        Args:
            durable: it survives a power loss.
            settled: decide; False for changes on which no decision depends.
        """
        with self.database.lock:
            transaction = None
            try:
                with self.database.transaction(write=True, durable=durable):
                    transaction = Transaction(self.database, self.mirror)
                    yield transaction
                    if settled and transaction.changed:
                        settle(transaction, self.policy)
                    transaction.finish()
            except BaseException:
                if transaction is None or transaction.changed:
                    self.mirror.forget()  # it holds changes that were not committed, or may not have been
                raise

    def clock(self) -> float:
        """Seconds since the epoch, as the ledger counts them."""
        with self.database.lock, self.database.plainly():
            return self.database.clock()
