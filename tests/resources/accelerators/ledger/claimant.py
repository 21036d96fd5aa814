"""A process that claims: it reads one JSON list a line, does it, and answers with one line.

python -m tests.resources.accelerators.ledger.claimant URL
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import Any

from resources.accelerators.configuration import Accelerators
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.liveness import this_process
from resources.accelerators.ledger.strays import MARK
from tests.resources.accelerators.ledger.scenes import asks


def main() -> None:
    """Serve until the input ends."""
    ledger = Ledger(sys.argv[1], Accelerators())
    actions = Actions(ledger)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        print(json.dumps(getattr(actions, what)(*arguments)), flush=True)


class Actions:
    """What it can be told."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def claim(self, run_id: str, memory_gb: float, fields: dict[str, Any] | None = None) -> str | None:
        lease = self._ledger.claim(asks(run_id, memory_gb, **(fields or {})))
        return lease and lease.id

    def wait(self, run_id: str, memory_gb: float) -> float:
        """Claim until it is granted; when that was, on the clock that all processes share."""
        while True:
            seen = self._ledger.changes()
            if self._ledger.claim(asks(run_id, memory_gb)):
                return time.monotonic()
            self._ledger.wait_for_change(seen, 5)

    def attach(self, lease_id: str) -> None:
        self._ledger.attach(lease_id, this_process())

    def release(self, run_id: str) -> None:
        self._ledger.release(run_id)

    def renew(self, lease_id: str) -> str:
        """The lease's state, or the error's name."""
        try:
            return self._ledger.renew(lease_id).state
        except Exception as error:
            return type(error).__name__

    def rank(self, lease_id: str) -> int:
        """Start a process that outlives this one, in a session of its own, as torchrun's ranks do; its pid."""
        sleep = shutil.which("sleep") or "sleep"
        return subprocess.Popen([sleep, "600"], env={**os.environ, MARK: lease_id}, start_new_session=True).pid

    def begin(self) -> Any:
        """Begin to write, and stay there until killed."""
        with self._ledger._store.writing():
            print(json.dumps("writing"), flush=True)
            time.sleep(600)


if __name__ == "__main__":
    main()
