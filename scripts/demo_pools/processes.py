"""The code server and the daemon of one set-up. Their process trees end with the demo, even if it is killed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from resources.processes import ProcessTree, start

START_SECONDS = 60


class DemoError(RuntimeError):
    """Something of the demo did not do what it should; the message says where its log is."""


@contextmanager
def running(folder: Path, socket: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """A code server and a daemon, until the end of the block, however it ends."""
    log = folder / "processes.log"
    code_server = ["-m", "dagster", "api", "grpc", "--socket", str(socket), "-m", "scripts.demo_pools.location"]
    daemon = ["-m", "dagster._daemon", "run", "-w", str(folder / "workspace.yaml")]
    with log.open("ab") as output, ExitStack() as stack:
        for arguments in (code_server, daemon):
            command = [sys.executable, *arguments]
            tree = stack.enter_context(
                start(command, env=environment, cwd=folder, stdout=output, stderr=output, grace_seconds=5)
            )
            until(
                socket.exists, lambda tree=tree: _alive(tree, log), START_SECONDS, f"no code server; its log: {log}"
            )
        yield


def until(fact: Callable[[], bool], alive: Callable[[], None], seconds: float, otherwise: str) -> None:
    """Wait for a fact.

    Raises:
        DemoError: it is not so after that many seconds, with the message `otherwise`.
    """
    deadline = time.monotonic() + seconds
    while not fact():
        alive()
        if time.monotonic() > deadline:
            raise DemoError(otherwise)
        time.sleep(0.1)


def _alive(tree: ProcessTree, log: Path) -> None:
    if tree.poll() is not None:
        raise DemoError(f"a process of the demo has ended; its log: {log}")
