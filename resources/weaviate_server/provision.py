"""Where the server's program comes from: PATH, the user's cache, the client's download, or Go.

What is downloaded or built lies in the cache afterwards, so it is done once. Two processes that want it at once wait
for each other, and a file appears in the cache only when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from resources import processes
from resources.locks import file_lock

VERSION = "1.35.2"
"""The version that is tested; aliases need 1.32."""
PACKAGE = f"github.com/weaviate/weaviate/cmd/weaviate-server@v{VERSION}"
PROGRAM = "weaviate-server"
DOWNLOAD_SECONDS = 600
BUILD_SECONDS = 3600  # 3 minutes on two free cores

Say = Callable[[str], None]


class NoServer(RuntimeError):
    """This machine has no Weaviate server and no way to get one; the message is one line."""


def cache_folder() -> Path:
    """The user's cache folder of this version."""
    return _user_cache() / "llm-assets" / "weaviate" / VERSION


def find_program() -> Path | None:
    """The program, if it is on this machine: on PATH, in our cache, or in the client's."""
    if on_path := shutil.which(PROGRAM):
        return Path(on_path)
    return next((file for file in _cached() if os.access(file, os.X_OK)), None)


def provide_program(say: Say = print) -> Path:
    """The program; downloaded or built if it is not there yet.

    Args:
        say: told in one line what is about to take minutes.

    Raises:
        NoServer: with what was tried.
    """
    if found := find_program():
        return found
    folder = cache_folder()
    with file_lock(folder, "provide", lambda _: say(f"waiting: another process gets Weaviate {VERSION}"), None):
        return find_program() or _fetch(folder, say)


def _fetch(folder: Path, say: Say) -> Path:
    for leftover in folder.glob("new-*"):  # of a killed one: we hold the lock
        shutil.rmtree(leftover, ignore_errors=True)
    tried = [f"no {PROGRAM} on PATH or in {folder}"]
    for way in (_download, _build):
        with tempfile.TemporaryDirectory(dir=folder, prefix="new-") as new:
            try:
                program = way(Path(new), say)
            except NoServer as error:
                tried.append(str(error))
                continue
            return program.rename(folder / PROGRAM)
    raise NoServer(
        f"no Weaviate server: {'; '.join(tried)}. Set WEAVIATE_URL, or install Go and run `make weaviate`."
    )


def _download(folder: Path, say: Say) -> Path:
    """By the client, as its `connect_to_embedded` does it."""
    say(f"downloading Weaviate {VERSION}")
    command = [sys.executable, "-m", "resources.weaviate_server.download", VERSION, str(folder)]
    _run(command, folder, DOWNLOAD_SECONDS, "the client's download failed", {})
    return folder / client_file_name()


def _build(folder: Path, say: Say) -> Path:
    go = shutil.which("go")
    if not go:
        raise NoServer("Go, which could build one, is not installed")
    say(f"building Weaviate {VERSION} with Go, once: about 3 minutes on 2 cores")
    _run([go, "install", PACKAGE], folder, BUILD_SECONDS, "`go install` failed", {"GOBIN": str(folder)})
    return folder / PROGRAM


def _run(command: list[str], folder: Path, timeout: float, failed: str, env: dict[str, str]) -> None:
    """Run a command that ends with this process.

    Raises:
        NoServer: it failed; with the last line of what it said.
    """
    log = folder / "log"
    with log.open("wb") as stream, processes.start(command, env=env, stdout=stream, stderr=stream) as tree:
        try:
            code = tree.wait(timeout)
        except subprocess.TimeoutExpired:
            raise NoServer(f"{failed}: not done after {timeout:g} s") from None
    if code:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise NoServer(f"{failed}: {lines[-1].strip() if lines else f'exit code {code}'}")


def _cached() -> list[Path]:
    """Ours, and where the client puts its own."""
    folders = [Path.home() / ".cache" / "weaviate-embedded", _user_cache() / "weaviate-embedded", _user_cache()]
    return [cache_folder() / PROGRAM, *(folder / client_file_name() for folder in folders)]


def client_file_name() -> str:
    """As weaviate-client 4.23 names what it has downloaded (`weaviate/embedded.py`)."""
    tag = f"v{VERSION}"
    return f"weaviate-{tag}-{hashlib.sha256(tag.encode()).hexdigest()}"


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
