"""How a claim that is not granted waits, inside executors that would otherwise spin or not hear a signal.

An executor asks for each of its ready steps, one after the other, again and again without a pause. So one of these
questions in a round waits for a change of the ledger; the others are answered at once.
"""

from __future__ import annotations

import multiprocessing
import threading
import time

from resources.accelerators.ledger.ledger import Ledger

WAIT_SECONDS = 0.25
WAIT_BESIDE_CHILDREN_SECONDS = 0.01  # the multiprocess executor then has running steps to care for, one event a round
GRACE_SECONDS = 0.5  # an executor that looks at signals has done so by then


class Rounds(threading.local):
    """The rounds of the executor that runs in this thread: a round is over when a step is asked for again."""

    def __init__(self) -> None:
        self._asked: set[tuple[str, str]] = set()
        self._interrupted: float | None = None

    def begins(self, run_id: str, step_key: str) -> bool:
        """Whether this question is the first of a new round."""
        step = (run_id, step_key)
        begins = step in self._asked
        if begins:
            self._asked.clear()
        self._asked.add(step)
        return begins

    def forget(self, run_id: str, step_key: str) -> None:
        """The step is not asked for any more: a later question is not a round's end."""
        self._asked.discard((run_id, step_key))

    def pause(self, ledger: Ledger, since: int) -> None:
        """Wait for a change of the ledger, but not long.

        Raises:
            DagsterExecutionInterruptedError: the run was told to end, and its executor does not look.
        """
        if self._is_interrupted():
            time.sleep(GRACE_SECONDS / 10)
        elif multiprocessing.active_children():
            ledger.wait_for_change(since, WAIT_BESIDE_CHILDREN_SECONDS)
        else:
            ledger.wait_for_change(since, WAIT_SECONDS)

    def _is_interrupted(self) -> bool:
        from dagster._core.errors import DagsterExecutionInterruptedError
        from dagster._utils.interrupts import check_captured_interrupt

        if not check_captured_interrupt():
            self._interrupted = None
            return False
        # The multiprocess and step-delegating executors look between two rounds; the in-process executor never does.
        self._interrupted = self._interrupted or time.monotonic()
        if time.monotonic() - self._interrupted > GRACE_SECONDS:
            raise DagsterExecutionInterruptedError
        return True
