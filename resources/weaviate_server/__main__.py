"""Get a Weaviate server for the tests: `python -m resources.weaviate_server`, or `make weaviate`.

With `--serve FOLDER` it is also run, its data in that folder, until Ctrl-C; the lines to set are printed.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from resources.weaviate_server import Address, NoServer, ServerFailed, WeaviateServer, provide_program

POLL_SECONDS = 0.5


def main() -> int:
    """Returns 1, having said why in one line, if there is no server."""
    parser = argparse.ArgumentParser(prog="python -m resources.weaviate_server", description=__doc__)
    parser.add_argument("--serve", type=Path, metavar="FOLDER", help="run it, with its data in this folder")
    folder = parser.parse_args().serve
    try:
        if folder is None and (given := Address.from_environment()):
            return _check(given)
        program = provide_program()
        print(f"Weaviate's server: {program}", flush=True)
        if folder is not None:
            _serve(program, folder.resolve())
    except (NoServer, ServerFailed) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _check(server: Address) -> int:
    if server.ready:
        print(f"Weaviate's server: {server.url} (WEAVIATE_URL)")
        return 0
    print(f"no Weaviate server: WEAVIATE_URL is {server.url}, which does not answer", file=sys.stderr)
    return 1


def _serve(program: Path, folder: Path) -> None:
    """Until a signal asks for the end, or the server ends by itself."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with WeaviateServer(program, folder) as server:
        at = server.address
        print(f"export WEAVIATE_URL={at.url} WEAVIATE_API_KEY={at.key} WEAVIATE_GRPC_PORT={at.grpc_port}", flush=True)
        while server.running and not ended.wait(POLL_SECONDS):
            pass
        if not ended.is_set():
            raise ServerFailed(f"Weaviate ended by itself; its log: {server.log}")


if __name__ == "__main__":
    sys.exit(main())
