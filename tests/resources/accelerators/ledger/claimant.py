"""A process that claims: it gets one order at a time through a pipe, does it, and answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from multiprocessing.connection import Connection
from typing import Any, Literal

from resources.accelerators.configuration import Accelerators
from resources.accelerators.leases import LEASE_VARIABLE
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.liveness import this_host, this_process
from resources.accelerators.requests import Request, Waiting
from resources.accelerators.units import GB


def asks(
    run_id: str,
    memory_gb: float = 60,
    *,
    stage: Literal["queued", "starting", "claiming"] = "claiming",
    **fields: Any,
) -> Waiting:
    """A request of a run's only step; by default for one device alone."""
    request = Request("pool", int(memory_gb * GB), launcher=this_host(), **fields)
    return Waiting(run_id, "step", request, time.time(), stage)


def serve(url: str, orders: Connection) -> None:
    """Obey until the pipe is closed."""
    actions = Actions(Ledger(url, Accelerators()), orders)
    orders.send("ready")
    while True:
        try:
            what, arguments = orders.recv()
        except EOFError:
            return
        orders.send(getattr(actions, what)(*arguments))


class Actions:
    """What it can be told."""

    def __init__(self, ledger: Ledger, orders: Connection) -> None:
        self._ledger, self._orders = ledger, orders

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
        return subprocess.Popen(
            [sleep, "600"], env={**os.environ, LEASE_VARIABLE: lease_id}, start_new_session=True
        ).pid

    def begin(self) -> Any:
        """Begin to write, and stay there until killed."""
        with self._ledger._store.writing():
            self._orders.send("writing")
            time.sleep(600)
