"""Renew the leases that this process claimed, so that other hosts know that it lives."""

from __future__ import annotations

import logging
import threading

from resources.accelerators.errors import AcceleratorError, LeaseLost
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.reaping import RENEW_SECONDS

logger = logging.getLogger("llm_assets.accelerators")


class Renewal:
    """Renews from the first lease on, in a thread of its own that does not keep the process from ending."""

    def __init__(self) -> None:
        self._leases: dict[tuple[str, str], tuple[Ledger, str]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, step: tuple[str, str], ledger: Ledger, lease_id: str) -> None:
        """Renew this lease too."""
        with self._lock:
            self._leases[step] = (ledger, lease_id)
            if self._thread is None or not self._thread.is_alive():  # after a fork there is none
                self._thread = threading.Thread(target=self._run, name="lease renewal", daemon=True)
                self._thread.start()

    def drop(self, step: tuple[str, str]) -> None:
        """It was given back."""
        with self._lock:
            self._leases.pop(step, None)

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(RENEW_SECONDS):
            with self._lock:
                leases = list(self._leases.items())
            for step, (ledger, lease_id) in leases:
                self._renew(step, ledger, lease_id)

    def _renew(self, step: tuple[str, str], ledger: Ledger, lease_id: str) -> None:
        try:
            ledger.renew(lease_id)
        except LeaseLost as error:
            logger.warning("%s/%s: %s", *step, error)
            self.drop(step)
        except AcceleratorError as error:
            logger.warning("%s/%s: the lease could not be renewed, trying again: %s", *step, error)
