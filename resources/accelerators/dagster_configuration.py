"""accelerators.yml and its ledger inside Dagster's long-lived processes, which a slip in the file must not stop."""

from __future__ import annotations

import logging

from resources.accelerators.configuration import Accelerators, load_accelerators
from resources.accelerators.ledger.ledger import Ledger, open_ledger
from resources.config_errors import ConfigError

logger = logging.getLogger("llm_assets.accelerators")
_last: Accelerators | None = None
_last_ledger: Ledger | None = None
_told = ""


def current() -> Accelerators:
    """accelerators.yml as it is now; while it has an error, as it was before, which is logged once.

    Raises:
        ConfigError: it has an error, and this process has not read it without one.
    """
    global _last, _told
    try:
        _last = load_accelerators()
    except ConfigError as error:
        if _last is None:
            raise
        if str(error) != _told:
            logger.error("%s. Going on with what it said before.", error)
            _told = str(error)
    return _last


def current_ledger() -> Ledger:
    """The ledger of `current()`.

    Raises:
        ConfigError: as `current`.
        LedgerError: it cannot be opened.
    """
    global _last_ledger
    try:
        _last_ledger = open_ledger()
    except ConfigError:
        if _last_ledger is None:
            raise
    return _last_ledger
