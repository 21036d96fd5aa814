"""Wait for a lease in a step's own process, where no executor has claimed one for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from resources.accelerators.deciding.explain import why

if TYPE_CHECKING:
    from resources.accelerators.leases import Lease
    from resources.accelerators.ledger.ledger import Ledger
    from resources.accelerators.requests import Waiting

POLL_SECONDS = 1.0  # a signal is heard within it
TELL_SECONDS = 30.0


def wait_for_lease(ledger: Ledger, waiting: Waiting, tell: Callable[[str], None]) -> Lease:
    """Ask until it is granted, and say from time to time why it waits. An exception takes the request back.

    Raises:
        ImpossibleRequest: no state of the devices could ever satisfy it.
        RequestError: it asks for more than its tenant may.
    """
    due = time.monotonic()
    try:
        while True:
            since = ledger.changes()
            lease = ledger.claim(waiting)
            if lease is not None:
                return lease
            if time.monotonic() >= due:
                tell(why_it_waits(ledger, waiting))
                due = time.monotonic() + TELL_SECONDS
            ledger.wait_for_change(since, POLL_SECONDS)
    except BaseException:
        ledger.withdraw(waiting.run_id, waiting.step_key)
        raise


def why_it_waits(ledger: Ledger, waiting: Waiting) -> str:
    """For people: `pool small: second in the line; …`."""
    try:
        reason = why(ledger.view(), waiting.id, time.time(), ledger.policy)
    except KeyError:  # granted meanwhile
        return f"pool {waiting.request.pool}: it is this step's turn"
    return f"pool {waiting.request.pool}, place {reason.position} in the line: {reason.sentence}"
