"""A Dagster instance with our storages, its own devices and ledger, and the real programs that work on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from resources.accelerators.configuration import FILE_VARIABLE, LEDGER_VARIABLE
from resources.accelerators.leases import Lease
from resources.accelerators.ledger.ledger import Ledger, open_ledger
from tests.resources.accelerators.dagster.work import TRACE

ROOT = Path(__file__).resolve().parents[4]
MODULE = "tests.resources.accelerators.dagster.work"
DEADLINE_SECONDS = 60
DEVICES = {"model": "a100-sxm-80", "memory_gb": 80, "count": 2, "host": "pretended", "nvlink": "n0", "pretend": True}
POOLS = {
    "embed": {"memory_gb": 4, "share": True},
    "lora": {"memory_gb": 60},
    "full": {"memory_gb": 150, "devices": 2, "linked": True},
    "beyond": {"memory_gb": 1000},
}
TENANTS = {"intern": {"max_priority": 5}}


def wait_for(fact: Callable[[], Any], seconds: float = DEADLINE_SECONDS) -> Any:
    """The first value of `fact()` that is true."""
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen in time")
        time.sleep(0.05)
    return found


class Home:
    """A DAGSTER_HOME of a test's own."""

    def __init__(self, folder: Path, postgres_url: str | None = None, **accelerators: Any) -> None:
        self.folder, self.trace = folder, folder / "trace"
        self.trace.mkdir(parents=True)
        self._processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            "DAGSTER_HOME": str(folder),
            FILE_VARIABLE: str(folder / "accelerators.yml"),
            LEDGER_VARIABLE: f"sqlite:///{folder / 'ledger.db'}",
            TRACE: str(self.trace),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
        }
        self.describe(**accelerators)
        self.configure(postgres_url)

    def describe(self, **accelerators: Any) -> None:
        """Write accelerators.yml."""
        default = {"probe": False, "devices": [DEVICES], "pools": POOLS, "tenants": TENANTS}
        (self.folder / "accelerators.yml").write_text(yaml.safe_dump(default | accelerators))

    def configure(self, postgres_url: str | None = None, **changes: Any) -> None:
        """Write dagster.yaml: the project's own, its paths in this folder."""
        name = "dagster.postgres.yaml" if postgres_url else "dagster.yaml"
        text = (ROOT / name).read_text().replace(".state/dagster", str(self.folder / "state"))
        if postgres_url:
            self.environment["DAGSTER_POSTGRES_URL"] = postgres_url
        (self.folder / "dagster.yaml").write_text(yaml.safe_dump(yaml.safe_load(text) | changes))

    @property
    def ledger(self) -> Ledger:
        return open_ledger()

    def leases(self, pool: str | None = None) -> list[Lease]:
        return [lease for lease in self.ledger.view().leases.values() if pool in (None, lease.request.pool)]

    def done(self) -> list[dict[str, Any]]:
        """What the steps that ended have noted."""
        file = self.trace / "done"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def hold(self, name: str = "hold") -> Path:
        """Steps go on as long as this file is there; those of runs with the tag `hold`, as long as that one is."""
        (self.trace / name).touch()
        return self.trace / name

    def begun(self) -> int:
        return len(list(self.trace.glob("*.begun")))

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a program on this home."""
        with (self.folder / "output").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", *command],
                cwd=self.folder,
                env=os.environ | self.environment | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)
        return process

    def execute(self, job: str, tags: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a run that bypasses the queue."""
        return self.start("dagster", "job", "execute", "-m", MODULE, "-j", job, "--tags", json.dumps(tags or {}))

    def output(self) -> str:
        file = self.folder / "output"
        return file.read_text() if file.exists() else ""

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        """The real daemon."""
        (self.folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [{"python_module": MODULE}]}))
        process = self.start("dagster._daemon", "run")
        try:
            yield process
        finally:
            self.end(process)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)

    def end_all(self) -> None:
        for process in self._processes:
            self.end(process)


@pytest.fixture
def make_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Home]]:
    """`make_home(**accelerators)`: this process and those that the home starts work on it."""
    homes: list[Home] = []

    def make(postgres_url: str | None = None, **accelerators: Any) -> Home:
        home = Home(tmp_path / f"home{len(homes)}", postgres_url, **accelerators)
        homes.append(home)
        for name, value in home.environment.items():
            monkeypatch.setenv(name, value)
        with dg.DagsterInstance.get() as instance:  # several first users at once would all make the tables
            instance.get_runs(limit=1)
        return home

    yield make
    for home in homes:
        (home.trace / "hold").unlink(missing_ok=True)
        home.end_all()
        print(home.output()[-5000:])  # shown where the test failed


@pytest.fixture
def home(make_home: Callable[..., Home]) -> Home:
    """A home on SQLite with two pretended devices of 80 GB."""
    return make_home()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))])
def any_home(request: pytest.FixtureRequest, make_home: Callable[..., Home]) -> Home:
    """A home on SQLite, and one whose instance is on a real PostgreSQL."""
    if request.param == "sqlite":
        return make_home()
    return make_home(request.getfixturevalue("postgresql").new_database())


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """The instance of `home`."""
    with dg.DagsterInstance.get() as instance:
        yield instance
