"""One look at all sources: list them, wait for those that are changing, and decide what is started."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.models.examples import ExamplesError
from llm_assets.watching import progress
from llm_assets.watching.claims import claim
from llm_assets.watching.cursor import Seen
from llm_assets.watching.deciding import TRY_AGAIN, Wait, decide
from llm_assets.watching.listings import Listing, Listings, Outcome, Problem, Unfinished
from llm_assets.watching.reports import check_event, source_alert
from resources.state import StateError

if TYPE_CHECKING:
    from llm_assets.watching.watched import Watched
    from resources.alerts.alert import Alert
    from resources.platform import Platform

SETTLE_SECONDS = 1.0  # two listings this far apart that agree: nothing is arriving any more
LONGEST_SECONDS = 60.0  # what changes without end is run after this time; the next change is the next run's
REPORT_AFTER = 3  # failed listings in a row


@dataclass
class Found:
    """What a look leads to."""

    requests: list[dg.RunRequest] = field(default_factory=list)
    events: list[dg.AssetObservation | dg.AssetCheckEvaluation] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)


class Look:
    """A look, with what it needs to know.

    Args:
        instance: the Dagster instance: what was run.
        platform: its state database decides between several daemons.
        listings: of this process.
        settle: waits for what is still arriving.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        platform: Platform,
        listings: Listings,
        settle: Callable[[], object] = lambda: time.sleep(SETTLE_SECONDS),
    ) -> None:
        self._instance, self._platform, self._listings = instance, platform, listings
        self._settle = settle
        self.found = Found()

    def at(self, sources: Sequence[Watched], before: Mapping[str, Seen]) -> Found:
        """Look at every source; `before` is what the last look has left."""
        seen = {source.id: before.get(source.id, Seen()) for source in sources}
        outcomes = self._listings.collect(sources)
        again = self._again([source for source in sources if _news(outcomes[source.id], seen[source.id])])
        for source in sources:
            first = outcomes[source.id]
            latest = again.get(source.id, first)
            settled = latest == first
            if isinstance(
                latest, Unfinished
            ):  # what was listed is kept: the listing under way tells if it has settled
                latest = first
            self.found.seen[source.id] = self._one(source, latest, seen[source.id], settled)
        return self.found

    def _again(self, changed: Sequence[Watched]) -> Mapping[str, Outcome]:
        """What the changed ones hold a moment later."""
        if not changed:
            return {}
        self._settle()
        return self._listings.collect(changed)

    def _one(self, source: Watched, outcome: Outcome, seen: Seen, settled: bool) -> Seen:
        match outcome:
            case Problem(reason):
                return self._failed(source, reason, seen)
            case Unfinished(seconds):
                self._say(source, f"has been listed for {seconds:.0f} s, without an end yet")
                return seen
            case Listing():
                return self._listed(source, outcome, self._recovered(source, seen), settled)

    def _failed(self, source: Watched, reason: str, seen: Seen) -> Seen:
        self._say(source, f"{reason} What is served stays as it is")
        if seen.failures + 1 == REPORT_AFTER:
            self.found.events.append(check_event(source, reason))
            self.found.alerts.append(source_alert(source, reason))
        return replace(seen, failures=seen.failures + 1)

    def _recovered(self, source: Watched, seen: Seen) -> Seen:
        if seen.failures >= REPORT_AFTER:
            self.found.events.append(check_event(source, None))
        return replace(seen, failures=0)

    def _listed(self, source: Watched, listing: Listing, seen: Seen, settled: bool) -> Seen:
        now = time.time()
        since = 0.0 if settled else seen.since or now
        current = replace(seen, version=listing.version, files=listing.files, since=since)
        if listing.version == seen.done:
            return replace(current, since=0.0)
        if not settled and now - since < LONGEST_SECONDS:
            self._say(source, "files are still arriving")
            return current
        try:
            return self._follow(source, listing, current)
        except (StateError, ExamplesError) as error:
            self._say(source, str(error))
            return current

    def _follow(self, source: Watched, listing: Listing, current: Seen) -> Seen:
        """Start what the change asks for, or find everything behind the source up to date with it."""
        done = replace(current, since=0.0, done=listing.version)
        if source.job is None:
            self._observe(source, listing)
            return done
        state = self._platform.state
        attempts = progress.attempts(self._instance, state, source)
        decision = decide(source.id, listing.version, attempts, time.time())
        if progress.up_to_date(self._instance, source, listing.content):
            unread = progress.unread(state, source)
            if not unread:
                return done
            self._say(source, f"files that could not be read, and are tried again: {len(unread)}")
            if time.time() < max(unread) + TRY_AGAIN[0]:
                return current
        if isinstance(decision, Wait):
            self._say(source, decision.reason)
            return current
        if claim(state, decision.key):
            self.found.requests += run_requests(source, listing, decision.key)
        else:
            self._say(source, "another daemon is starting the run")
        return replace(current, since=0.0)

    def _observe(self, source: Watched, listing: Listing) -> None:
        version = source.content() if source.content else listing.content
        if version != progress.observed(self._instance, source.key):
            tags = {progress.DATA_VERSION_TAG: version}
            self.found.events.append(dg.AssetObservation(source.key, tags=tags))

    def _say(self, source: Watched, what: str) -> None:
        self.found.reasons.append(f"{source.id}: {what}")


def run_requests(source: Watched, listing: Listing, key: str) -> list[dg.RunRequest]:
    """The run from the files to what is served: one, however many files have changed."""
    tags = {progress.SOURCE_TAG: source.id, progress.VERSION_TAG: listing.version}
    return [dg.RunRequest(run_key=key, job_name=source.job, tags=tags)]


def _news(outcome: Outcome, seen: Seen) -> bool:
    """Whether this listing is one that neither the last look has seen nor is known to be served."""
    return isinstance(outcome, Listing) and outcome.version not in (seen.version, seen.done)
