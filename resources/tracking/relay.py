"""The process that sends what waits: one beside each process that tells something, and gone with it."""

from __future__ import annotations

import subprocess
import sys
import time
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING

from resources import processes
from resources.profile import ROOT
from resources.state import now
from resources.tracking import outbox
from resources.tracking.delivery import Where
from resources.tracking.tracker import told_where

if TYPE_CHECKING:
    from resources.platform import Platform
    from resources.state import State

LAST_SECONDS = 5  # for what is told last, before a process ends: the rest is sent by a later one
POLL_SECONDS = 0.1
GRACE_SECONDS = 1


class Relay:
    """Starts the sending process when there is something to send, and ends it."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._tree: processes.ProcessTree | None = None

    @property
    def running(self) -> bool:
        """Whether the sending process lives."""
        return self._tree is not None and self._tree.poll() is None

    def nudge(self) -> None:
        """Send what waits, soon."""
        if not self.running:
            command = [sys.executable, "-W", "ignore", "-m", "resources.tracking.delivery"]
            self._tree = processes.start(command, cwd=ROOT, stdin=subprocess.PIPE, grace_seconds=GRACE_SECONDS)
            self._write(self._where.dump())
        self._write("")

    def close(self, seconds: float = LAST_SECONDS) -> None:
        """Send what waits, for some seconds at most, and end the sending process."""
        if self._tree is None:
            return
        with self._tree as tree:
            try:
                if tree.stdin is not None:
                    tree.stdin.close()
                tree.wait(seconds)
            except (subprocess.TimeoutExpired, BrokenPipeError):
                pass  # it is ended on leaving; what waits is kept
        self._tree = None

    def _write(self, line: str) -> None:
        if self._tree is None or self._tree.stdin is None:
            return
        try:
            self._tree.stdin.write(f"{line}\n".encode())
            self._tree.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: `running` says so


_relays: dict[Where, Relay] = {}


def send(platform: Platform) -> None:
    """Have what waits sent by a process beside this one; returns at once. Nothing waits: nothing is started."""
    if platform.profile.tracking.enabled and outbox.first(platform.state) is not None:
        _relay(platform).nudge()


def flush(platform: Platform, seconds: float = LAST_SECONDS) -> str:
    """Have what waits sent, and wait for it, but not for a server that is away.

    Returns:
        In one sentence, whether the server knows everything.
    """
    destination = platform.profile.tracking.destination(platform.profile.state_dir)
    asked = now()
    send(platform)
    if platform.profile.tracking.enabled:
        _wait(platform.state, destination.shown, _relay(platform), asked, time.monotonic() + seconds)
    return told_where(platform.state, destination)


def leave(platform: Platform) -> None:
    """Stop sending from this process, which was told to end soon: what waits is sent later."""
    _relay(platform).close(0)


def catch_up(platform: Platform, idle_seconds: float) -> str:
    """Have sent what nobody sends: what has waited for so long, or was put off. Returns at once; to be called again
    and again.

    The sending process ends when this is called and nothing waits.

    Returns:
        In one sentence, whether the server knows everything.
    """
    if not platform.profile.tracking.enabled:
        return "tracking is off in profiles.yml"
    outbox.put_back(platform.state)
    since = outbox.waits_since(platform.state)
    if since is None:
        _relay(platform).close()
    elif now() - since >= idle_seconds:
        _relay(platform).nudge()
    return told_where(platform.state, platform.profile.tracking.destination(platform.profile.state_dir))


def _wait(state: State, destination: str, relay: Relay, asked: float, deadline: float) -> None:
    """Until nothing waits, or the server was found to be away after `asked`."""
    while time.monotonic() < deadline and relay.running:
        found = outbox.heard(state, destination)
        if found.failed_at >= asked or not found.waiting:
            return
        time.sleep(POLL_SECONDS)


def _relay(platform: Platform) -> Relay:
    profile = platform.profile
    where = Where(profile.url, profile.state_dir / "locks", profile.tracking.destination(profile.state_dir))
    if where not in _relays:
        _relays[where] = Relay(where)
        # Runs at the end of a child of `multiprocessing` as well, where `atexit` does not.
        Finalize(None, _relays[where].close, exitpriority=10)
    return _relays[where]
