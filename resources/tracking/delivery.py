"""Send what waits in the outbox, in its order, in a process of its own: MLflow may hang, and takes long to import.

    python -m resources.tracking.delivery < WHERE.json

The first line of the input says where; each further line asks for a delivery now, and the end of the input for a last
one. In between, what waits is sent every few seconds.
"""

from __future__ import annotations

import base64
import json
import os
import select
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from resources import state_schema as schema
from resources.state import State
from resources.tracking import outbox
from resources.tracking.mlflow_store import MlflowStore
from resources.tracking.settings import Destination

EVERY_SECONDS = 10
MOST_SECONDS = 60  # of one delivery
MOST_ATTEMPTS = 5  # of a server that is there and fails on one thing: then the others go first
AGAIN_SECONDS, MOST_AGAIN_SECONDS = 60.0, 3600.0  # after that: twice as long each time
LOCK = "tracking"
NICE = 10  # training has the cores first
TRY_LATER = {401, 403, 408, 425, 429}  # of the requests that are wrong: these may be right another time


@dataclass(frozen=True)
class Where:
    """What a delivery needs to know.

    Attributes:
        state_url: of the state database.
        locks: its folder of lock files.
        destination: the server.
    """

    state_url: str
    locks: Path
    destination: Destination

    def dump(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self) | {"locks": str(self.locks)})

    @classmethod
    def load(cls, line: str) -> Where:
        found = json.loads(line)
        return cls(found["state_url"], Path(found["locks"]), Destination(**found["destination"]))


class Delivery:
    """Sends from one state database to one server."""

    def __init__(self, where: Where) -> None:
        self._state = State(where.state_url, where.locks)
        self._destination = where.destination
        self._store: MlflowStore | None = None

    def run(self, seconds: float = MOST_SECONDS) -> None:
        """Send what waits until nothing does, the server is away, or `seconds` are over.

        Only one process sends at a time: if another does, this returns at once.
        """
        if outbox.first(self._state) is None:
            return
        deadline = time.monotonic() + seconds
        try:
            with self._state.lock(LOCK, timeout=0.1):
                while time.monotonic() < deadline and (item := outbox.first(self._state)):
                    if not self._sent(item):
                        return
        except TimeoutError:
            return

    def _sent(self, item: outbox.Item) -> bool:
        """Send one thing. Returns whether to go on."""
        try:
            self._send(item)
        except Exception as error:  # of MLflow, of requests, of a database: all the same to us
            return self._failed(item, error)
        outbox.done(self._state, item)
        outbox.hear(self._state, self._destination.shown, None)
        return True

    def _failed(self, item: outbox.Item, error: Exception) -> bool:
        """Decide what a failure means: the server is away, or it is there and cannot take this. Whether to go on."""
        reason, destination = self._plainly(error), self._destination.shown
        try:
            self._opened().forget_run(item.run_key)  # somebody may have deleted it
            self._opened().ask()
        except Exception as away:
            outbox.hear(self._state, destination, self._plainly(away))
            return False
        wrong, missed = _is_wrong(error), isinstance(error, LookupError)  # a version that is put off may be missed
        refused = (wrong and item.attempts > 0) or item.attempts + 1 >= MOST_ATTEMPTS
        if refused:
            outbox.refuse(self._state, item, reason, None if wrong and not missed else _again_in(item.attempts + 1))
        else:
            outbox.failed(self._state, item)
        outbox.hear(self._state, destination, None if wrong or refused else reason)
        return wrong or refused

    def _plainly(self, error: Exception) -> str:
        """What failed, in one line that may be shown."""
        for words in ("Connection refused", "timed out", "Name or service not known", "failure in name resolution"):
            if words in str(error):
                return words.lower()
        lines = self._destination.safe(str(error)).strip().splitlines()
        return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]

    def _opened(self) -> MlflowStore:
        if self._store is None:
            source = outbox.source(self._state, self._destination.shown)
            self._store = MlflowStore(self._destination, source)
        return self._store

    def _send(self, item: outbox.Item) -> None:
        store, content = self._opened(), item.content
        if item.kind == "alias":
            store.alias(**content)
            return
        table = schema.tracking_runs
        known = self._state.first(sa.select(table).where(table.c.run_key == item.run_key))
        name, experiment = (known["name"], known["experiment"]) if known else (item.run_key, "llm-assets")
        run = store.run(item.run_key, name, experiment)
        senders: dict[str, Callable[[], Any]] = {
            "run": lambda: store.describe(run, content["params"], content["tags"]),
            "metrics": lambda: store.figures(run, content["values"]),
            "ended": lambda: store.ended(run, **content),
            "artifact": lambda: self._artifact(store, run, content),
            "version": lambda: store.version(run, **content),
        }
        senders[item.kind]()

    def _artifact(self, store: MlflowStore, run: Any, content: dict[str, Any]) -> None:
        if "text" in content:
            store.text(run, content["path"], content["text"])
        elif "base64" in content:
            store.binary(run, content["path"], base64.b64decode(content["base64"]))
        else:
            store.file(run, content["path"], self._state.path_of(content["file"]))


def _again_in(attempts: int) -> float:
    """Seconds until the next attempt."""
    return min(AGAIN_SECONDS * 2 ** min(max(0, attempts - MOST_ATTEMPTS), 16), MOST_AGAIN_SECONDS)


def _is_wrong(error: Exception) -> bool:
    """Whether it is the request that is wrong, and not the server."""
    if isinstance(error, FileNotFoundError | LookupError):
        return True
    status = getattr(getattr(error, "response", None), "status_code", None)
    code_of = getattr(error, "get_http_status_code", None)  # MLflow's own exceptions
    status = code_of() if status is None and code_of else status
    return isinstance(status, int) and 400 <= status < 500 and status not in TRY_LATER


def main() -> None:
    """Deliver until the input ends."""
    os.nice(NICE)
    delivery = Delivery(Where.load(sys.stdin.readline()))
    while True:
        delivery.run()
        ready, _, _ = select.select([sys.stdin], [], [], EVERY_SECONDS)
        if ready and not os.read(sys.stdin.fileno(), 4096):
            delivery.run()
            return


if __name__ == "__main__":
    main()
