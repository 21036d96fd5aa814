"""Whether a source that has changed and settled is to be run now. Plain values in, a decision out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile

# Seconds after which a version whose run failed is tried again; the last holds from then on. What a quick retry can
# help is retried sooner by the sensor of failed runs; this one makes sure that nothing is lost for good.
TRY_AGAIN = (600.0, 3600.0, 86400.0)
# The same after an outage, whatever the version: it ends without any change of the files.
TRY_AGAIN_OUTAGE = TRY_AGAIN[:2]


class Fate(Enum):
    """What became of a run."""

    UNDER_WAY = "under way"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "was cancelled"


@dataclass(frozen=True)
class Attempt:
    """A run that was started for a version of a source.

    Attributes:
        run_id: Dagster's.
        version: of the source when it was asked for.
        fate: what became of it.
        ended: seconds since the epoch, 0 while it runs.
        outage: it failed because of something that other files would not have got past either.
        retry: the sensor of failed runs has started it.
    """

    run_id: str
    version: str
    fate: Fate
    ended: float = 0.0
    outage: bool = False
    retry: bool = False


@dataclass(frozen=True)
class Run:
    """Start a run; `key` is the same for everybody who sees the same past."""

    key: str


@dataclass(frozen=True)
class Wait:
    """Start nothing now."""

    reason: str


def decide(source: str, version: str, attempts: Sequence[Attempt], now: float) -> Run | Wait:
    """Whether `version`, which what is served does not have yet, is run now.

    Args:
        source: its id.
        version: of the settled listing.
        attempts: the runs of this source that Dagster knows, newest first.
        now: seconds since the epoch.
    """
    newest = attempts[0] if attempts else None
    if newest and newest.fate is Fate.UNDER_WAY:
        return Wait(f"run {newest.run_id} is under way")
    if newest and newest.version == version and newest.fate is Fate.CANCELED:
        return Wait(f"run {newest.run_id} was cancelled; a change, or somebody, starts the next one")
    if newest and now < (again := newest.ended + _pause(version, attempts)):
        return Wait(f"run {newest.run_id} {newest.fate.value}; tried again at {_clock(again)}")
    return Run(":".join([source, version, newest.run_id if newest else "first"]))


def _pause(version: str, attempts: Sequence[Attempt]) -> float:
    """Seconds from the end of the newest attempt; none where another version may do better."""
    if attempts[0].outage:
        row, pauses = takewhile(lambda attempt: attempt.outage, attempts), TRY_AGAIN_OUTAGE
    elif attempts[0].version == version:
        row, pauses = takewhile(lambda attempt: attempt.version == version, attempts), TRY_AGAIN
    else:
        return 0.0
    tried = sum(not attempt.retry for attempt in row)
    return pauses[min(max(tried, 1), len(pauses)) - 1]


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
