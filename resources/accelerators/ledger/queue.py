"""Dagster's queue in the ledger: runs that have no process yet wait like everybody else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from resources.accelerators.ledger.liveness import alive
from resources.accelerators.ledger.transaction import Transaction
from resources.accelerators.requests import Waiting

NOTED = (
    "INSERT INTO visits (name, visited_at) VALUES (?, ?) "
    "ON CONFLICT (name) DO UPDATE SET visited_at = excluded.visited_at"
)
QUEUE = "queue/"  # before a source's name, in the table of visits
STALE_SECONDS = 300  # a queue that nobody reads any more, its daemon gone, must not keep devices free for its runs


def sync(
    transaction: Transaction,
    wanted: Sequence[Waiting],
    alive_runs: Collection[str],
    source: str,
) -> None:
    """Make the requests of a source's queue equal to `wanted`."""
    present = {waiting.id: waiting for waiting in wanted}
    queued = {
        row[0]
        for row in transaction.database.rows("SELECT id FROM waiting WHERE ended IS NULL AND source = ?", (source,))
    }
    runs = set(alive_runs)
    for waiting in list(transaction.state.waiting.values()):
        if waiting.id not in present and _gone(waiting, waiting.id in queued, runs):
            transaction.end_waiting(waiting.id, "withdrawn")
    for waiting in present.values():
        _put(transaction, waiting, source)
    transaction.database.run(NOTED, (QUEUE + source, transaction.now))


def drop_stale(transaction: Transaction) -> list[str]:
    """Drop requests of queues that nobody has read for long. They come back when it is read again."""
    oldest = transaction.now - STALE_SECONDS
    found = transaction.database.rows(
        "SELECT id FROM waiting JOIN visits ON visits.name = ? || waiting.source "
        "WHERE ended IS NULL AND visited_at < ?",
        (QUEUE, oldest),
    )
    for (waiting_id,) in found:
        transaction.end_waiting(waiting_id, "dropped")
    return [waiting_id for (waiting_id,) in found]


def _gone(waiting: Waiting, of_source: bool, alive_runs: set[str]) -> bool:
    if waiting.stage != "claiming":
        return of_source
    claimant = waiting.claimant
    return waiting.run_id not in alive_runs and (claimant is None or alive(claimant) is False)


def _put(transaction: Transaction, waiting: Waiting, source: str) -> None:
    if transaction.mirror.held(waiting.run_id, waiting.step_key):
        return
    known = transaction.state.waiting.get(waiting.id)
    if known is None:
        transaction.put_waiting(replace(waiting, claimant=None), source=source)
    elif known.stage != "claiming" and (known.stage, known.request) != (waiting.stage, waiting.request):
        offered = known.offered if known.stage == waiting.stage else None
        changed = replace(waiting, offered=offered, reserved=known.reserved, claimant=None)
        transaction.put_waiting(changed, source=source)
