"""A ledger of the test's own over one pretended device, and children that stand in for training."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.accelerators.configuration import FILE_VARIABLE, LEDGER_VARIABLE, Accelerators, load_accelerators
from resources.accelerators.inventory import register_this_host
from resources.accelerators.leases import Lease
from resources.accelerators.ledger.ledger import Ledger, open_ledger
from resources.accelerators.ledger.liveness import this_host
from resources.accelerators.requests import Request, Waiting

DEADLINE_SECONDS = 30
SETTINGS: dict[str, Any] = {
    "probe": False,
    "devices": [{"model": "a100-sxm-80", "memory_gb": 80, "host": "pretended", "pretend": True}],
    "pools": {
        "whole": {"memory_gb": 60, "preemptible": True, "description": "One at a time."},
        "urgent": {"memory_gb": 60, "priority": 5},
        "small": {"memory_gb": 0.2, "share": True},
    },
    "usd_per_hour": {"a100-sxm-80": 2.0},
    "preemption": {"minimum_minutes": 0, "notice_seconds": 2},
}
# It says that it works; told to end, it leaves a checkpoint, and a second time it goes on from there.
TRAINING = """
import signal, sys, time
from pathlib import Path
folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
def stop(*_):
    (folder / "checkpoint").write_text("step 7")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
(folder / "works").write_text("yes")
if not (folder / "checkpoint").exists():
    time.sleep(seconds)
"""
# It starts a rank in a session of its own, and neither obeys SIGTERM.
STUBBORN = """
import os, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    (Path(sys.argv[1]) / "rank").write_text(str(os.getpid()))
time.sleep(600)
"""


def until(fact: Callable[[], Any], seconds: float = DEADLINE_SECONDS) -> Any:
    """The first value of a fact that is true."""
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)
    return found


def training(folder: Path, seconds: float = 600) -> list[str]:
    return [sys.executable, "-c", TRAINING, str(folder), str(seconds)]


def stubborn(folder: Path) -> list[str]:
    return [sys.executable, "-c", STUBBORN, str(folder)]


class Place:
    """An accelerators.yml and a ledger of a test's own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "accelerators.yml"
        self.describe()

    def describe(self, **changes: Any) -> None:
        self.file.write_text(yaml.safe_dump(SETTINGS | changes))

    @property
    def accelerators(self) -> Accelerators:
        return load_accelerators()

    @property
    def ledger(self) -> Ledger:
        return open_ledger()

    def waiting(self, run: str, pool: str = "whole") -> Waiting:
        settings = self.accelerators.pools[pool]
        request = Request(
            pool=pool,
            memory=settings.memory,
            share=settings.share,
            kind=settings.kind,
            cpus=settings.cpus,
            priority=settings.priority,
            preemptible=settings.preemptible,
            launcher=this_host(),
        )
        return Waiting(run, "step", request, time.time(), "claiming", asset=f"{run}/model")

    def granted(self, run: str, pool: str = "whole", seconds: float = DEADLINE_SECONDS) -> Lease:
        waiting = self.waiting(run, pool)
        return until(lambda: self.ledger.claim(waiting), seconds)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "accelerators.yml"))
    monkeypatch.setenv(LEDGER_VARIABLE, f"sqlite:///{tmp_path / 'ledger.db'}")
    place = Place(tmp_path)
    register_this_host(place.ledger, place.accelerators)
    yield place
    place.ledger.close()
