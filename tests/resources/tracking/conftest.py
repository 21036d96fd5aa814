"""A real MLflow server on loopback, and states that tell it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resources.platform import Platform
from resources.profile import Profile
from resources.tracking.settings import TrackingSettings
from tests.conftest import CHECKOUT

MLFLOW = CHECKOUT / ".venv-tracking" / "bin" / "mlflow"
START_SECONDS = 180


class Server:
    """An MLflow server that can be stopped, started again with what it had, frozen and thawed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._process = folder, None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        where = ["--backend-store-uri", f"sqlite:///{self._folder / 'server.db'}"]
        where += ["--artifacts-destination", str(self._folder / "artifacts"), "--workers", "1"]
        self._process = subprocess.Popen(
            [str(MLFLOW), "server", *where, "--host", "127.0.0.1", "--port", str(self.port)],
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, "the MLflow server does not start"
            time.sleep(0.1)

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def stop(self) -> None:
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It accepts connections and answers nothing."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server, one for all tests; each test has a state, and so runs, of its own."""
    if not MLFLOW.exists():
        pytest.skip("the MLflow server is not installed: make .venv-tracking/bin/mlflow")
    found = Server(tmp_path_factory.mktemp("mlflow"))
    found.start()
    yield found
    found.stop()


@pytest.fixture
def told(tmp_path: Path, server: Server) -> Platform:
    """A platform that tells the server."""
    tracking = TrackingSettings(uri=server.uri, timeout_seconds=10)
    return Platform(Profile(state_dir=tmp_path / "state", tracking=tracking))
