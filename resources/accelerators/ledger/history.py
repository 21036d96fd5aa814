"""What the ledger remembers of leases that have ended, and what it forgets."""

from __future__ import annotations

from resources.accelerators.ledger import rows
from resources.accelerators.ledger.database import Database
from resources.accelerators.ledger.records import Past
from resources.accelerators.ledger.transaction import Transaction

LEASES_KEPT = 200_000  # counted, not timed: a clock that jumps must not delete the history
WAITING_KEPT = 20_000

HELD_IN = (
    f"SELECT {rows.LEASE}, ended, outcome, peak_memory FROM leases "  # noqa: S608  (columns of ours)
    "WHERE granted < ? AND (ended IS NULL OR ended >= ?) ORDER BY granted, id"
)


def read(database: Database, since: float, until: float) -> list[Past]:
    """Leases that held devices at some time in the period, the earliest first."""
    return [rows.read_past(row) for row in database.rows(HELD_IN, (until, since))]


def forget_oldest(transaction: Transaction) -> None:
    """Delete the rows of what ended longest ago. Processes that have not heard of their end read everything anew."""
    for table, kept in (("leases", LEASES_KEPT), ("waiting", WAITING_KEPT)):
        newest = transaction.database.rows(
            f"SELECT version FROM {table} WHERE ended IS NOT NULL ORDER BY version DESC LIMIT 1 OFFSET ?",  # noqa: S608
            (kept,),
        )
        if newest:
            last = newest[0][0]
            transaction.database.run(f"DELETE FROM {table} WHERE ended IS NOT NULL AND version <= ?", (last,))  # noqa: S608
            transaction.database.run("UPDATE counter SET forgotten = ? WHERE forgotten < ?", (last, last))
