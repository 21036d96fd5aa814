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
HANGING_SECONDS = 300.0  # a listing that takes longer counts as failed


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

    def wait(self, seconds: float) -> Outcome:
        """The outcome, at the latest this long after the start."""
        self._thread.join(max(0.0, self.started + seconds - time.monotonic()))
        return self.outcome or self._unfinished(time.monotonic() - self.started)

    def _list(self) -> None:
        self.outcome = list_source(self._source)

    def _unfinished(self, seconds: float) -> Outcome:
        if seconds < HANGING_SECONDS:
            return Unfinished(seconds)
        return Problem(f"source '{self._source.location}': its listing has not ended for {seconds:.0f} s")


class Listings:
    """The listings under way in this process. One source is never listed twice at a time."""

    def __init__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._running: dict[str, _Run] = {}

    def collect(self, sources: Sequence[Watched]) -> Mapping[str, Outcome]:
        """List every source. A listing that an earlier call has begun is not waited for again."""
        for source in sources:
            if source.id not in self._running:
                self._running[source.id] = _Run(source)
        outcomes = {source.id: self._running[source.id].wait(self._wait_seconds) for source in sources}
        self._running = {name: run for name, run in self._running.items() if run.outcome is None}
        return outcomes


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
