"""What the ledger's tests share: devices, requests, and processes that claim and can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from resources.accelerators.configuration import Accelerators
from resources.accelerators.devices import Device, Host
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.liveness import process_of, this_boot, this_host
from resources.accelerators.requests import Process, Request, Waiting
from resources.accelerators.units import GB
from resources.profile import ROOT

T = TypeVar("T")
SECONDS = 30  # until a fact is missed


def host(name: str | None = None) -> Host:
    """A host of 8 cores."""
    return Host(name or this_host(), 8.0, 64 * GB, this_boot())


def gpus(count: int, memory: int = 80 * GB) -> list[Device]:
    """Devices of this host, all linked."""
    name = this_host()
    return [Device(f"{name}/gpu{i}", name, "gpu", "h100-sxm-80", memory, i, nvlink=name) for i in range(count)]


def ledger_of(url: str, count: int = 1, **settings: Any) -> Ledger:
    """A ledger with that many devices of 80 GB on this host."""
    ledger = Ledger(url, Accelerators(**settings))
    ledger.register(host(), gpus(count))
    return ledger


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


def until(fact: Callable[[], T], seconds: float = SECONDS) -> T:
    """Poll until it is true; what it was."""
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return found


class Claimant:
    """A process with a ledger of its own that does what it is told."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", f"{__package__}.claimant", url]
        self.popen = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._answer() == "ready"

    @property
    def process(self) -> Process:
        found = process_of(self.popen.pid)
        assert found is not None
        return found

    def tell(self, what: str, *arguments: Any) -> Any:
        """Let it do one thing; its answer."""
        self.order(what, *arguments)
        return self._answer()

    def order(self, what: str, *arguments: Any) -> None:
        """Let it do one thing, and do not wait for it."""
        assert self.popen.stdin
        self.popen.stdin.write(json.dumps([what, *arguments]) + "\n")
        self.popen.stdin.flush()

    def _answer(self) -> Any:
        assert self.popen.stdout
        return json.loads(self.popen.stdout.readline())

    def pause(self) -> None:
        self.popen.send_signal(signal.SIGSTOP)
        until(lambda: os.waitpid(self.popen.pid, os.WUNTRACED | os.WNOHANG)[0])

    def wake(self) -> None:
        self.popen.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()


@contextmanager
def claimants(url: str, count: int = 1) -> Iterator[list[Claimant]]:
    """Processes that end with the test."""
    made: list[Claimant] = []
    try:
        made.extend(Claimant(url) for _ in range(count))
        yield made
    finally:
        for one in made:
            one.kill()
            for pipe in (one.popen.stdin, one.popen.stdout):
                if pipe:
                    pipe.close()
