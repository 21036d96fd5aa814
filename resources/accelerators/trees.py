"""The process trees that work under one lease, seen by the step that started them and by the lease's keeper."""

from __future__ import annotations

import threading
import time

from resources.processes import ProcessTree

POLL_SECONDS = 0.05


class Trees:
    """Trees of one lease. Threads may share it. Once it is closed no tree can be added."""

    def __init__(self) -> None:
        self._trees: list[ProcessTree] = []
        self._lock = threading.Lock()
        self._closed = False

    def add(self, tree: ProcessTree) -> bool:
        """Take a tree in. False if it is too late: the caller ends it."""
        with self._lock:
            if not self._closed:
                self._trees.append(tree)
            return not self._closed

    def close(self) -> None:
        """Take no tree in any more."""
        with self._lock:
            self._closed = True

    @property
    def closed(self) -> bool:
        """Whether what works under the lease is being ended, or has been."""
        return self._closed

    def living(self) -> list[ProcessTree]:
        """Those with processes."""
        with self._lock:
            return [tree for tree in self._trees if tree.poll() is None]

    def ask(self) -> None:
        """SIGTERM to every process: write a checkpoint, then end."""
        for tree in self.living():
            tree.ask()

    def kill(self, after_seconds: float = 0.0) -> None:
        """SIGKILL to what still lives after so many seconds; returns when nothing does."""
        deadline = time.monotonic() + after_seconds
        while self.living() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        for tree in self.living():
            tree.kill()
