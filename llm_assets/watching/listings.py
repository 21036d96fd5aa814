"""Listing many sources at once, without waiting for the slowest."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.sources import SourceError

if TYPE_CHECKING:
    from llm_assets.watching.watched import Watched

WAIT_SECONDS = 5.0  # a tick waits this long for a new listing; a longer one goes on, and the next tick asks for it
HANGING_SECONDS = 300.0  # a listing that takes longer counts as failed, and is begun anew
MOST_HANGING = 3  # threads that are kept for one source: what hangs in a driver cannot be ended


@dataclass(frozen=True)
class Listing:
    """What a source holds.

    Attributes:
        version: names what is to be served: see `Watched.wanted`.
        content: the data version of the files.
        files: their number.
    """

    version: str
    content: str
    files: int


@dataclass(frozen=True)
class Problem:
    """Why there is no listing."""

    reason: str


@dataclass(frozen=True)
class Unfinished:
    """It is still being listed, for `seconds`."""

    seconds: float


Outcome = Listing | Problem | Unfinished


class _Run:
    """A listing in a thread of its own: one that hangs takes no other's place, and lets the process end."""

    def __init__(self, source: Watched) -> None:
        self.started = time.monotonic()
        self.outcome: Outcome | None = None
        self._source = source
        self._thread = threading.Thread(target=self._list, name=f"listing {source.id}", daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        """Since it was begun."""
        return time.monotonic() - self.started

    def wait(self, seconds: float) -> Outcome:
        """The outcome, at the latest this long after the start."""
        self._thread.join(max(0.0, seconds - self.seconds))
        if self.outcome or self.seconds < HANGING_SECONDS:
            return self.outcome or Unfinished(self.seconds)
        return Problem(f"source '{self._source.location}': its listing has not ended for {self.seconds:.0f} s")

    def _list(self) -> None:
        self.outcome = list_source(self._source)


class Listings:
    """The listings under way in this process. One source is listed once at a time, beside what hangs."""

    def __init__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._running: dict[str, _Run] = {}
        self._hanging: dict[str, list[_Run]] = {}
        self._troubles: dict[str, Problem] = {}  # of sources whose last listing hung

    def collect(self, sources: Sequence[Watched]) -> Mapping[str, Outcome]:
        """List every source. A listing that an earlier call has begun is not waited for again."""
        for source in sources:
            self._begin(source)
        return {source.id: self._outcome(source.id) for source in sources}

    def _begin(self, source: Watched) -> None:
        if source.id in self._running:
            return
        hanging = [run for run in self._hanging.get(source.id, []) if run.outcome is None]
        self._hanging[source.id] = hanging
        if len(hanging) < MOST_HANGING:
            self._running[source.id] = _Run(source)

    def _outcome(self, name: str) -> Outcome:
        run = self._running.get(name)
        if run is None:
            return self._troubles[name]
        outcome = run.wait(self._wait_seconds)
        if isinstance(outcome, Unfinished):  # a source that hung is in trouble until it has been listed
            return self._troubles.get(name, outcome)
        del self._running[name]
        self._troubles.pop(name, None)
        if run.outcome is None and isinstance(outcome, Problem):
            self._troubles[name] = outcome
            self._hanging[name].append(run)
        return outcome


def list_source(source: Watched) -> Outcome:
    """List one source, whatever may happen: its filesystem is not ours."""
    from llm_assets.corpora.documents import source_version

    try:
        files = source.list()
    except SourceError as error:
        return Problem(str(error))
    except (
        Exception
    ) as error:  # a broken filesystem of one corpus must not stop the others; its text may hold secrets
        return Problem(f"source '{source.location}' cannot be listed: {type(error).__name__}")
    if not files and not source.may_be_empty:
        return Problem(f"source '{source.location}' lists no file. If it is meant to be empty, set allow_empty: true")
    content = source_version(list(files))
    return Listing(source.wanted(content), content, len(files))
