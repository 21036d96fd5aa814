"""A server of our own for a data folder, shared by every process that uses it and gone when none does.

The first process starts a keeper, which runs the server. Each user holds a shared lock on a file of the folder for
as long as it lives, killed or not; the keeper ends the server once it has had the lock for itself for a while.

    python -m resources.vector_index.weaviate_embedded FOLDER SECONDS    what a keeper is started with
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO

from resources.locks import file_lock
from resources.vector_index.errors import IndexRefused, IndexUnavailable
from resources.weaviate_server import Address, NoServer, ServerFailed, WeaviateServer, provide_program

ROOT = Path(__file__).resolve().parents[2]
IDLE_SECONDS = 300.0  # ending and coming back takes seconds that the next command would wait
START_SECONDS = 120
_POLL = 0.1
_using: dict[Path, IO[bytes]] = {}


def embedded_server(folder: Path, idle_seconds: float = IDLE_SECONDS) -> Address:
    """The address of the folder's server, which runs while this process does, and `idle_seconds` longer.

    Raises:
        IndexRefused: there is no program to run.
        IndexUnavailable: it does not start.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _use(folder)
    with file_lock(folder, "start", None, START_SECONDS):
        return _running(folder) or _started(folder, idle_seconds)


def _use(folder: Path) -> None:
    """Hold the lock until this process ends; waits for a server that is just ending."""
    if folder not in _using:
        file = (folder / "in_use").open("ab")
        fcntl.flock(file, fcntl.LOCK_SH)
        _using[folder] = file
        atexit.register(file.close)


def _running(folder: Path) -> Address | None:
    try:
        address = Address(**json.loads((folder / "address.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return address if address.ready else None


def _started(folder: Path, idle_seconds: float) -> Address:
    try:
        provide_program(lambda line: print(line, file=sys.stderr, flush=True))
    except NoServer as error:
        raise IndexRefused(str(error)) from None
    (folder / "address.json").unlink(missing_ok=True)
    log = folder / "keeper.log"
    command = [sys.executable, "-m", "resources.vector_index.weaviate_embedded", str(folder), str(idle_seconds)]
    with log.open("wb") as output:
        keeper = subprocess.Popen(  # noqa: S603 - this module itself
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while (address := _running(folder)) is None:
        if keeper.poll() is not None or time.monotonic() > deadline:
            end = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise IndexUnavailable(f"Weaviate does not start for {folder}: {' '.join(end)} (the whole log: {log})")
        time.sleep(_POLL)
    return address


def keep(folder: Path, idle_seconds: float) -> None:
    """Run the folder's server until nobody has used it for so long."""
    with (folder / "in_use").open("ab") as lock, WeaviateServer(provide_program(), folder) as server:
        _tell(folder, server.address)
        idle_since: float | None = None
        while server.running:
            if not _alone(lock):
                idle_since = None
            elif idle_since is None:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > idle_seconds and _alone(lock, keep=True):
                (folder / "address.json").unlink(missing_ok=True)
                return  # still holding the lock, so that the next user waits until the data is closed
            time.sleep(_POLL * 5)


def _alone(lock: IO[bytes], *, keep: bool = False) -> bool:
    """Whether nobody else holds the lock."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    if not keep:
        fcntl.flock(lock, fcntl.LOCK_UN)
    return True


def _tell(folder: Path, address: Address) -> None:
    """Where the server is, and its key: for the owner of the folder alone."""
    file = folder / "address.new"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as told:
        json.dump(asdict(address), told)
    file.replace(folder / "address.json")


if __name__ == "__main__":
    try:
        keep(Path(sys.argv[1]), float(sys.argv[2]))
    except (NoServer, ServerFailed) as error:
        sys.exit(str(error))
