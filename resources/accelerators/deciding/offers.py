"""Offers: room that is kept for a queued run until Dagster starts it, but not for ever."""

from __future__ import annotations

from resources.accelerators.deciding.rules import LAPSED_FACTOR, Rules
from resources.accelerators.requests import Waiting


def lapsed(waiting: Waiting, now: float, rules: Rules) -> bool:
    """Whether its offer ran out: Dagster did not start it, so it keeps no room from others for a while."""
    if waiting.stage != "queued" or waiting.offered is None:
        return False
    return rules.offer_seconds < now - waiting.offered < rules.offer_seconds * LAPSED_FACTOR


def offered_since(waiting: Waiting, now: float, rules: Rules) -> float:
    """What to store as `Waiting.offered` of a request that is offered at `now`: a new offer, or the running one."""
    since = waiting.offered
    if since is None or since > now or now - since >= rules.offer_seconds * LAPSED_FACTOR:
        return now
    return since
