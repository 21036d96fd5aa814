"""What the dead held is given to the living: leases without holders, requests that nobody asks for any more.

Only a process of the holder's own host may call it dead. Another host believes in its silence when it has itself,
by its own monotonic clock, watched the lease for `SILENCE_SECONDS` without a renewal: so a clock that jumps frees
nothing. A holder that could not renew for `LAST_SECONDS` ends its processes before that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache

from resources.accelerators.leases import Lease
from resources.accelerators.ledger import queue, strays
from resources.accelerators.ledger.database import Database
from resources.accelerators.ledger.holding import others
from resources.accelerators.ledger.liveness import alive
from resources.accelerators.ledger.mirror import Mirror
from resources.accelerators.ledger.records import Outcome, Reaped
from resources.accelerators.ledger.transaction import Transaction
from resources.accelerators.requests import Process

TTL_SECONDS = 60.0
MARGIN_SECONDS = 15.0
SILENCE_SECONDS = TTL_SECONDS + MARGIN_SECONDS
LAST_SECONDS = TTL_SECONDS - MARGIN_SECONDS
RENEW_SECONDS = 15.0  # between two renewals of a living holder or claimant
PATIENCE_SECONDS = 15.0  # between the end of a pre-empted lease's tree and that of a holder that does not notice it

Lives = Callable[[Process], bool | None]


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found outside of a transaction: looking at processes and ending them takes time.

    Attributes:
        free: leases that nobody holds, with the outcome; they are freed if they are still the same then.
        ending: leases whose notice has run out, and of which a holder still lives.
        dropped: requests whose claimant is dead.
        killed: pids of processes that were ended.
    """

    free: tuple[tuple[Lease, Outcome], ...]
    ending: tuple[Lease, ...]
    dropped: tuple[str, ...]
    killed: tuple[int, ...]


class Reaper:
    """Looks for the dead. One for each ledger and process, as it remembers when it saw whom renew."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}

    def look(self, database: Database, mirror: Mirror, now: float) -> Findings:
        """Find what is to be freed, and end the processes that have outlived their lease."""
        lives = cache(alive)  # many leases have the same holder
        silent = self._silent(database, mirror, lives)
        leases = list(mirror.state.leases.values())
        overdue = [lease for lease in leases if lease.preempt_at is not None and lease.preempt_at <= now]
        killed = _end_unheeding(overdue, now)
        late = {lease.id for lease in overdue}
        dead = [lease for lease in leases if not _held(lease, lives, lease.id in late, lease.id in silent)]
        more, left = strays.kill_marked(_ended(database, mirror) | late | {lease.id for lease in dead})
        gone = {lease.id for lease in dead}
        return Findings(
            free=tuple((lease, _outcome(lease, lease.id in silent)) for lease in dead if lease.id not in left),
            ending=tuple(lease for lease in overdue if lease.id not in gone and lease.state == "held"),
            dropped=tuple(_unclaimed(mirror, lives, silent)),
            killed=(*killed, *more),
        )

    def _silent(self, database: Database, mirror: Mirror, lives: Lives) -> set[str]:
        """Leases and requests of other hosts that were not renewed for too long before the eyes of this process."""
        leases, waiting = mirror.state.leases, mirror.state.waiting
        remote = {name for name, lease in leases.items() if any(lives(one) is None for one in lease.holders)}
        remote |= {name for name, one in waiting.items() if one.claimant and lives(one.claimant) is None}
        beats = _beats(database) if remote else []
        clock = time.monotonic()
        seen = {name: (beat, clock) for name, beat in beats if name in remote}
        for name, (beat, _) in seen.items():
            if (known := self._seen.get(name)) and known[0] == beat:
                seen[name] = known
        self._seen = seen
        return {name for name, (_, since) in seen.items() if clock - since > SILENCE_SECONDS}


def bury(transaction: Transaction, findings: Findings) -> Reaped:
    """Write what was found, as far as nobody has changed it meanwhile."""
    freed = []
    for lease, outcome in findings.free:
        if transaction.state.leases.get(lease.id) == lease:
            transaction.end_lease(lease, outcome)
            freed.append(lease.id)
    for lease in findings.ending:
        if transaction.state.leases.get(lease.id) == lease:
            transaction.set_lease(replace(lease, state="ending", holders=others(lease)))
    dropped = queue.drop_stale(transaction)
    for waiting_id in findings.dropped:
        if waiting_id in transaction.state.waiting:
            transaction.end_waiting(waiting_id, "dropped")
            dropped.append(waiting_id)
    _shorten_notices(transaction)
    return Reaped(tuple(freed), tuple(dropped), findings.killed)


def _shorten_notices(transaction: Transaction) -> None:
    """The clock was set back: nobody has longer notice than the rules give."""
    latest = transaction.now + transaction.state.rules.notice_seconds
    for lease in list(transaction.state.leases.values()):
        if lease.preempt_at is not None and lease.preempt_at > latest:
            transaction.set_lease(replace(lease, preempt_at=latest))


def _held(lease: Lease, lives: Lives, overdue: bool, silent: bool) -> bool:
    """Whether some process keeps it. After the notice the claimant, who may serve other steps, does not."""
    states = [lives(holder) for holder in (others(lease) if overdue else lease.holders)]
    return any(state or (state is None and not silent) for state in states)


def _end_unheeding(overdue: Iterable[Lease], now: float) -> list[int]:
    """End holders that have not noticed for some time that their lease is over."""
    doomed = [lease for lease in overdue if (lease.preempt_at or now) + PATIENCE_SECONDS <= now]
    return strays.kill(holder for lease in doomed for holder in others(lease))


def _outcome(lease: Lease, silent: bool) -> Outcome:
    if lease.preempt_at is not None:
        return "preempted"
    if lease.state == "ending":
        return "released"
    return "expired" if silent else "died"


def _unclaimed(mirror: Mirror, lives: Lives, silent: set[str]) -> Iterable[str]:
    for name, waiting in mirror.state.waiting.items():
        if waiting.claimant and (name in silent or lives(waiting.claimant) is False):
            yield name


def _beats(database: Database) -> list[tuple[str, int]]:
    found = database.rows("SELECT id, beat FROM leases WHERE ended IS NULL")
    return found + database.rows("SELECT id, beat FROM waiting WHERE ended IS NULL AND claimant IS NOT NULL")


def _ended(database: Database, mirror: Mirror) -> set[str]:
    """Leases that some process still carries, and that are given back: it was paused, say, and woke too late."""
    carried = strays.marked().keys() - mirror.state.leases.keys()
    if not carried:
        return set()
    marks = ", ".join("?" for _ in carried)
    found = database.rows(f"SELECT id FROM leases WHERE ended IS NOT NULL AND id IN ({marks})", tuple(carried))  # noqa: S608
    return {lease_id for (lease_id,) in found}
