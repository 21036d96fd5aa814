"""What happens when an executor asks for a slot in one of our pools, or gives it back."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.accelerators.dagster_configuration import current, current_ledger
from resources.accelerators.dagster_instance import InstanceReference
from resources.accelerators.dagster_plans import Plans
from resources.accelerators.dagster_queue import queue_of
from resources.accelerators.dagster_registration import ensure_registered
from resources.accelerators.dagster_renewal import Renewal
from resources.accelerators.dagster_requests import waiting_of
from resources.accelerators.dagster_tags import IMPOSSIBLE_TAG
from resources.accelerators.dagster_waiting import Rounds
from resources.accelerators.errors import AcceleratorError, ImpossibleRequest, LedgerError, RequestError
from resources.accelerators.leases import Lease
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.liveness import this_process
from resources.accelerators.requests import Waiting

if TYPE_CHECKING:
    import dagster as dg

ASK_SECONDS = 1.0  # the ledger looks for the dead and for its own deadlines when it is asked
ASK_OTHERS_SECONDS = 10.0  # for the steps beside the one that asks every second
LOOK_SECONDS = 0.05
QUEUE_SECONDS = 5.0  # the daemon tells the ledger of the queue each second; this is for when it does not
PATIENCE_SECONDS = 120.0  # so long a ledger that cannot be used is waited for
logger = logging.getLogger("llm_assets.accelerators")


@dataclass(slots=True)
class _Asked:
    """A step that waits, and when the ledger was last asked for it."""

    waiting: Waiting
    changes: int = -1
    at: float = float("-inf")
    failing_since: float | None = None


class Claims:
    """The claims that this process makes for steps of one instance's runs. Threads may share it."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = InstanceReference(instance)
        self._asked: dict[tuple[str, str], _Asked] = {}
        self._granted: set[tuple[str, str]] = set()
        self._plans = Plans()
        self._rounds = Rounds()
        self._renewal = Renewal()
        self._waited_at = self._looked_at = float("-inf")
        self._changes = -1

    def claim(self, pool: str, run_id: str, step_key: str) -> Lease | None:
        """Ask for a step; None while it waits. Waits itself for a moment if nothing else of its run was waited for.

        Raises:
            RequestError, ImpossibleRequest: the step can never start.
            LedgerError: the ledger could not be used for two minutes.
        """
        step = (run_id, step_key)
        try:
            asked = self._asked.get(step)
            if asked is None:
                asked = self._asked[step] = _Asked(self._request(pool, run_id, step_key))
            lease = self._try(asked)
        except (RequestError, ImpossibleRequest) as error:
            if isinstance(error, ImpossibleRequest):
                error = self._advised(run_id, step_key, error)
            # All that an executor does with this is to fail its run; the step's own log then says why.
            self._tell(run_id, step_key, f"Step {step_key} can never start: {error}")
            raise error from None
        if lease:
            self._grant(step, lease)
        else:
            self._waited_at = time.monotonic()
        return lease

    def holds(self, run_id: str, step_key: str) -> bool:
        """Whether the step was asked for, or granted, by this process."""
        return (run_id, step_key) in self._asked or (run_id, step_key) in self._granted

    def waited_within(self, seconds: float) -> bool:
        """Whether a claim has waited in this process just now."""
        return time.monotonic() - self._waited_at < seconds

    def free(self, run_id: str, step_key: str | None = None) -> None:
        """Give back what a step, or a run, holds or asks for. A ledger that cannot be reached finds out by itself."""
        steps = [step for step in {*self._asked, *self._granted} if step[0] == run_id and step_key in (None, step[1])]
        waits = bool(self._asked.keys() & set(steps))
        for step in steps:
            self._asked.pop(step, None)
            self._renewal.drop(step)
            self._rounds.forget(*step)
        try:
            ledger = current_ledger()
            if waits or step_key is None or not steps:
                ledger.withdraw(run_id, step_key)
            if not waits or step_key is None:
                ledger.release(run_id, step_key)
        except AcceleratorError as error:
            logger.warning("%s: its devices will be given back when its process has ended: %s", run_id, error)

    # --- asking

    def _try(self, asked: _Asked) -> Lease | None:
        waiting = asked.waiting
        try:
            lease = self._ask(asked, begins=self._rounds.begins(waiting.run_id, waiting.step_key))
            asked.failing_since = None
        except LedgerError as error:
            self._bear(asked, error)
            return None
        return lease

    def _ask(self, asked: _Asked, *, begins: bool) -> Lease | None:
        ledger = current_ledger()
        if begins:
            self._rounds.pause(ledger, asked.changes)
            queue_of(self._instance()).refresh(QUEUE_SECONDS)
        changes = self._seen_changes(ledger, begins=begins)
        pause = ASK_SECONDS if begins else ASK_OTHERS_SECONDS
        if changes == asked.changes and time.monotonic() - asked.at < pause:
            return None
        asked.changes, asked.at = changes, time.monotonic()
        ensure_registered(ledger, current())
        return ledger.claim(asked.waiting)

    def _seen_changes(self, ledger: Ledger, *, begins: bool) -> int:
        """Looked up once for all steps of a round."""
        now = time.monotonic()
        if begins or now - self._looked_at > LOOK_SECONDS:
            self._changes, self._looked_at = ledger.changes(), now
        return self._changes

    def _request(self, pool: str, run_id: str, step_key: str) -> Waiting:
        record = self._instance().get_run_record_by_id(run_id)
        if record is None:
            raise RequestError(f"run {run_id} is gone: it was deleted while step '{step_key}' waited")
        run, accelerators = record.dagster_run, current()
        step = self._plans.of(self._instance(), run).step(step_key)
        first = step is not None and step.root and (run_id, step_key) not in self._granted
        return waiting_of(
            self._instance(),
            run,
            step_key,
            pool,
            submitted=record.create_timestamp.timestamp() if first else time.time(),
            claimant=this_process(),
            accelerators=accelerators,
            plans=self._plans,
        )

    def _advised(self, run_id: str, step_key: str, error: ImpossibleRequest) -> ImpossibleRequest:
        """With what the op says to that."""
        run = self._instance().get_run_by_id(run_id)
        step = self._plans.of(self._instance(), run).step(step_key) if run else None
        words = step.tags.get(IMPOSSIBLE_TAG) if step else None
        return ImpossibleRequest(f"{error} {words}", error.excluded) if words else error

    def _grant(self, step: tuple[str, str], lease: Lease) -> None:
        self._asked.pop(step, None)
        self._rounds.forget(*step)
        self._granted.add(step)
        self._renewal.add(step, current_ledger(), lease.id)

    def _bear(self, asked: _Asked, error: LedgerError) -> None:
        """Wait for a ledger that cannot be used, and say so once."""
        now = time.monotonic()
        if asked.failing_since is None:
            asked.failing_since = now
            self._tell(asked.waiting.run_id, asked.waiting.step_key, f"Waiting for the accelerators' ledger: {error}")
        if now - asked.failing_since > PATIENCE_SECONDS:
            raise error
        time.sleep(ASK_SECONDS)

    def _tell(self, run_id: str, step_key: str, message: str) -> None:
        if run := self._instance().get_run_by_id(run_id):
            self._instance().report_engine_event(message, run, step_key=step_key)
