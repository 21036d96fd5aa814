"""What the ledger's tests share: devices, requests, and processes that claim and can be killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from resources.accelerators.configuration import Accelerators
from resources.accelerators.devices import Device, Host
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.liveness import process_of, this_boot, this_host
from resources.accelerators.requests import Process
from resources.accelerators.units import GB
from tests.resources.accelerators.ledger.claimant import serve

FORKS = multiprocessing.get_context("forkserver")  # a process that has imported everything forks the others
FORKS.set_forkserver_preload([f"{__package__}.claimant"])
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
        self._pipe, theirs = FORKS.Pipe()
        self.child = FORKS.Process(target=serve, args=(url, theirs))
        self.child.start()
        theirs.close()
        assert self.answer() == "ready"

    @property
    def process(self) -> Process:
        found = process_of(self.child.pid or 0)
        assert found is not None
        return found

    def tell(self, what: str, *arguments: Any) -> Any:
        """Let it do one thing; its answer."""
        self.order(what, *arguments)
        return self.answer()

    def order(self, what: str, *arguments: Any) -> None:
        """Let it do one thing, and do not wait for it."""
        self._pipe.send((what, arguments))

    def answer(self) -> Any:
        """What the last order came to."""
        assert self._pipe.poll(SECONDS), "it did not answer in time"
        return self._pipe.recv()

    def pause(self) -> None:
        pid = self.process.pid
        os.kill(pid, signal.SIGSTOP)
        until(lambda: Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T")

    def wake(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once; it is gone when this returns."""
        self.child.kill()
        self.child.join(SECONDS)

    def close(self) -> None:
        self.kill()
        self._pipe.close()


@contextmanager
def claimants(url: str, count: int = 1) -> Iterator[list[Claimant]]:
    """Processes that end with the test."""
    made: list[Claimant] = []
    try:
        made.extend(Claimant(url) for _ in range(count))
        yield made
    finally:
        for one in made:
            one.close()
