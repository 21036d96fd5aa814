"""A lease's keeper: a thread of the step's process that shows that it lives, and ends its work when it must.

It ends the lease's process trees when the ledger takes the devices back, when the lease was lost, when they use more
memory than was granted and `enforce` is `kill`, and when the run's worker has died: Dagster leaves a step's process,
and a child of it, alive then.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from resources.accelerators.errors import LeaseLost, LedgerError
from resources.accelerators.ledger.liveness import alive
from resources.accelerators.ledger.reaping import RENEW_SECONDS
from resources.accelerators.trees import Trees
from resources.process_supervisor import ORPHAN_GRACE_SECONDS

if TYPE_CHECKING:
    from resources.accelerators.leases import Lease
    from resources.accelerators.ledger.ledger import Ledger
    from resources.accelerators.requests import Process

TICK_SECONDS = 1.0
ORPHANED = 70  # exit code of a step whose run's worker has died

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a lease's work is ended before its time.

    Attributes:
        reason: `preempted`: a higher priority needs the devices; `lost`: it is not held any more; `memory`: it used
            more than was granted.
        message: for people.
    """

    reason: Literal["preempted", "lost", "memory"]
    message: str


class Keeper(threading.Thread):
    """Keeps one lease, until `leave`.

    Args:
        ledger: that granted it.
        lease: as it was granted.
        trees: what works under it.
        owners: processes whose death ends this process as well.
        tell: told of what people should know.

    Attributes:
        ending: why the work is being ended; None while all is well.
    """

    def __init__(
        self,
        ledger: Ledger,
        lease: Lease,
        trees: Trees,
        *,
        owners: Sequence[Process],
        tell: Tell,
    ) -> None:
        super().__init__(name=f"lease {lease.id}", daemon=True)
        self._ledger, self._lease, self._trees = ledger, lease, trees
        self._owners, self._tell = tuple(owners), tell
        self._left = threading.Event()
        self._seen, self._renewed = -1, time.monotonic()
        self._deadline: float | None = None
        self._silent = False
        self.ending: Ending | None = None

    def leave(self) -> None:
        """Stop keeping; returns at once."""
        self._left.set()

    def end(self, ending: Ending) -> None:
        """End the work at once; returns when none of its processes lives."""
        self._begin(ending)
        self._trees.kill()
        self.leave()

    def run(self) -> None:
        while not self._left.wait(TICK_SECONDS):
            if any(alive(owner) is False for owner in self._owners):
                self._leave_orphaned()
            try:
                self._look()
            except LedgerError as error:
                self._say_once(error)
                self._keep_deadline()

    def _look(self) -> None:
        """See what the ledger says of the lease; cheap while nothing has changed."""
        try:
            if time.monotonic() >= self._renewed + RENEW_SECONDS:
                self._obey(self._ledger.renew(self._lease.id))
                self._renewed = time.monotonic()
            elif (changes := self._ledger.changes()) != self._seen or self._deadline:
                self._obey(self._ledger.lease(self._lease.id))
                self._seen = changes
            self._silent = False
        except LeaseLost as lost:
            self.end(Ending("lost", str(lost)))

    def _obey(self, lease: Lease | None) -> None:
        if lease is not None and lease.preempt_at is not None:
            self._give_way(lease.preempt_at)
        elif lease is None or lease.state == "ending":
            self.end(Ending("lost", f"lease {self._lease.id}: its devices were given back while it still worked"))

    def _give_way(self, preempt_at: float) -> None:
        """Time for a checkpoint until the notice is over, then no more."""
        if self._deadline is None:
            notice = max(0.0, preempt_at - time.time())
            self._deadline = time.monotonic() + notice
            self._begin(Ending("preempted", f"a higher priority needs the devices; this ends within {notice:.0f} s"))
            self._trees.ask()
        if self._keep_deadline():
            self._ledger.release(self._lease.run_id, self._lease.step_key)
            self.leave()

    def _keep_deadline(self) -> bool:
        """Whether the notice is over; nothing works any more then."""
        over = self._deadline is not None and time.monotonic() >= self._deadline
        if over:
            self._trees.kill()
        return over

    def _begin(self, ending: Ending) -> None:
        if not self._left.is_set() and self.ending is None:
            self.ending = ending
            self._trees.close()
            self._say(ending.message)

    def _say_once(self, error: LedgerError) -> None:
        if not self._silent:
            self._say(f"the ledger does not answer; the lease is kept meanwhile: {error}")
        self._silent = True

    def _say(self, message: str) -> None:
        with suppress(Exception):  # a log that cannot be written is no reason to keep a device
            self._tell(message)

    def _leave_orphaned(self) -> None:
        """Nobody is left who would hear of the result: free the devices, and end this process."""
        self._trees.close()
        self._trees.ask()
        self._trees.kill(after_seconds=ORPHAN_GRACE_SECONDS)
        os._exit(ORPHANED)
