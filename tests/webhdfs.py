"""A real filesystem behind HTTP on loopback: enough of WebHDFS for fsspec's driver, and it fails as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PREFIX = "/webhdfs/v1"


@dataclass
class WebHdfs:
    """Files by absolute path, and what happens instead of an answer.

    Attributes:
        fails: `OPERATION path` to the HTTP status with which it is refused, or to what is done before the answer.
        asked: `OPERATION path` of every request.
    """

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    fails: dict[str, int | Callable[[], object]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def url(self, folder: str) -> str:
        return f"webhdfs://127.0.0.1:{self.port}{folder}"

    def answer(self, operation: str, path: str) -> tuple[int, bytes]:
        """Status and body."""
        self.asked.append(f"{operation} {path}")
        told = self.fails.get(f"{operation} {path}", 0)
        if not callable(told) and told:
            return told, b"no"
        if callable(told):
            told()
        if operation == "OPEN" and path in self.files:
            return 200, self.files[path]
        found = self._status(path) if operation == "GETFILESTATUS" else self._listing(path)
        if found is None:
            return 404, _json({"RemoteException": {"exception": "FileNotFoundException", "message": path}})
        return 200, _json(found)

    def _status(self, path: str) -> dict[str, Any] | None:
        known = self.files.get(path)
        if known is not None:
            return {"FileStatus": {"type": "FILE", "length": len(known), "modificationTime": 1, "accessTime": 1}}
        return {"FileStatus": {"type": "DIRECTORY", "length": 0}} if self._below(path) else None

    def _listing(self, path: str) -> dict[str, Any] | None:
        children = {name.partition("/")[0] for name in self._below(path)}
        found = {name: (self._status(f"{path.rstrip('/')}/{name}") or {})["FileStatus"] for name in children}
        entries = [entry | {"pathSuffix": name} for name, entry in found.items()]
        return {"FileStatuses": {"FileStatus": entries}} if entries else None

    def _below(self, path: str) -> list[str]:
        start = path.rstrip("/") + "/"
        return [name.removeprefix(start) for name in self.files if name.startswith(start)]


@contextmanager
def webhdfs(files: Mapping[str, bytes]) -> Iterator[WebHdfs]:
    """A server that ends with the block."""
    known = WebHdfs(files=dict(files))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            operation = parse_qs(asked.query)["op"][0]
            status, body = known.answer(operation, unquote(asked.path.removeprefix(PREFIX)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    known.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
