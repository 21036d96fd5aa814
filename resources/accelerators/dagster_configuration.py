"""accelerators.yml and its ledger inside Dagster's long-lived processes, which a slip in the file must not stop."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass

from resources.accelerators.configuration import FILE_VARIABLE, LEDGER_VARIABLE, Accelerators, load_accelerators
from resources.accelerators.ledger.ledger import Ledger, open_ledger
from resources.config_errors import ConfigError

LOOK_SECONDS = 0.2  # claims that wait ask a hundred times a second
logger = logging.getLogger("llm_assets.accelerators")


@dataclass(slots=True)
class _Known:
    """What was read last, and from where."""

    named: tuple[str | None, str | None]
    at: float
    accelerators: Accelerators
    ledger: Ledger | None = None
    told: str = ""


_known: _Known | None = None


def current() -> Accelerators:
    """accelerators.yml as it is now; while it has an error, as it was before, which is logged once.

    Raises:
        ConfigError: it has an error, and this process has not read it without one.
    """
    return _look().accelerators


def current_ledger() -> Ledger:
    """The ledger of `current()`.

    Raises:
        ConfigError: as `current`.
        LedgerError: it cannot be opened.
    """
    known = _look()
    if known.ledger is None:
        known.ledger = open_ledger()
    return known.ledger


def _look() -> _Known:
    global _known
    named, now, known = (os.environ.get(FILE_VARIABLE), os.environ.get(LEDGER_VARIABLE)), time.monotonic(), _known
    if known is None or known.named != named:
        known = _known = _Known(named, now, load_accelerators())
    elif now - known.at > LOOK_SECONDS:
        known.at = now
        known = _known = _read_again(known)
    return known


def _read_again(known: _Known) -> _Known:
    try:
        read = load_accelerators()
    except ConfigError as error:
        if str(error) != known.told:
            logger.error("%s. Going on with what it said before.", error)
            known.told = str(error)
        return known
    return known if read is known.accelerators else _Known(known.named, known.at, read)
