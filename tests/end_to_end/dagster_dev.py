"""A project's `dagster dev`, daemon and webserver, for the tests of a module, and the processes of its runs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import STDOUT
from typing import TypeVar

import dagster as dg

from tests.conftest import Project
from tests.end_to_end.looking import instance_of, make_dagsters_tables
from tests.polling import until

START_SECONDS = 120
ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
HELPER = "resource_tracker"  # of Python's multiprocessing: the code server's, which stays when a run ends
T = TypeVar("T")


@dataclass(frozen=True)
class Served:
    """A project with its UI at `address`."""

    project: Project
    address: str

    def run(self, run_id: str) -> dg.DagsterRun:
        with instance_of(self.project) as instance:
            found = instance.get_run_by_id(run_id)
        assert found is not None
        return found

    def ended(self, run_id: str, seconds: float = 120) -> dg.DagsterRunStatus:
        """How a run ended."""
        return until(
            lambda: self.run(run_id).status in ENDED and self.run(run_id).status, "the run ends", seconds=seconds
        )

    def processes(self) -> dict[int, str]:
        """Process id to command line, of everything that works for this project."""
        home, found = f"DAGSTER_HOME={self.project.root}".encode(), {}
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if folder.name.isdigit() and home in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return {pid: command for pid, command in found.items() if command and HELPER not in command}


@contextlib.contextmanager
def dagster_dev(project: Project) -> Iterator[Served]:
    """Start it on a free port of loopback; afterwards every process of the project is gone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = Served(project, f"http://127.0.0.1:{port}")
    log = project.root / "dagster-dev.log"
    command = ("dagster", "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port))
    make_dagsters_tables(project)
    with log.open("w", encoding="utf-8") as said:
        started = project.start(*command, stdout=said, stderr=STDOUT)
        try:
            until(lambda: _answers(served.address), f"the UI answers; {log}", seconds=START_SECONDS)
            yield served
        finally:
            started.send_signal(signal.SIGINT)
            with contextlib.suppress(AssertionError):
                until(lambda: not served.processes(), "it ends by itself", seconds=20)
            for pid in served.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            started.wait(10)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
