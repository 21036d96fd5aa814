"""A ledger with four pretended devices, and the command `accelerators` run on it in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resources.accelerators.cli import main
from resources.accelerators.configuration import FILE_VARIABLE, LEDGER_VARIABLE, load_accelerators
from resources.accelerators.leases import Lease
from resources.accelerators.ledger.ledger import Ledger, open_ledger
from resources.accelerators.ledger.liveness import this_host
from resources.accelerators.requests import Request, Waiting

CONFIGURATION = """
probe: false
devices:
  - {model: h100-sxm-80, count: 4, host: node, nvlink: switch, pretend: true}
pools:
  embed: {memory_gb: 4, share: true}
  lora: {memory_gb: 60}
  full: {memory_gb: 180, linked: true}
usd_per_hour: {h100-sxm-80: 2.0}
"""


@dataclass(frozen=True)
class Cluster:
    """The ledger, and what a test does with it."""

    ledger: Ledger
    file: Path

    def claim(self, name: str, pool: str = "lora", **request: Any) -> Lease | None:
        """Ask for devices as the step `step` of the run `name`."""
        settings = self.ledger.accelerators.pools[pool]
        wanted = {"memory": settings.memory, "linked": settings.linked, "share": settings.share, **request}
        asked = Request(pool=pool, launcher=this_host(), **wanted)
        return self.ledger.claim(Waiting(name, "step", asked, time.time(), "claiming", asset=f"acme/{name}"))

    def held(self, name: str, pool: str = "lora", **request: Any) -> Lease:
        """The same; it must be granted."""
        lease = self.claim(name, pool, **request)
        assert lease is not None
        return lease


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    file = tmp_path / "accelerators.yml"
    file.write_text(CONFIGURATION, encoding="utf-8")
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    monkeypatch.setenv(LEDGER_VARIABLE, f"sqlite:///{tmp_path / 'ledger.db'}")
    assert main(["register"]) == 0
    ledger = open_ledger()
    assert ledger.accelerators == load_accelerators(file)
    yield Cluster(ledger, file)
    ledger.close()


@pytest.fixture
def accelerators(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command; its exit code, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
