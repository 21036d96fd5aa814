"""A real HTTP server on loopback that answers as it is told: takes, refuses, redirects, hangs, or never ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG, ENDLESS, DRIP = "hang", "endless", "drip"


@dataclass
class Webhook:
    """What a server has received, and how it answers: each of `answers` once, then 200.

    An answer is a status, a pair of status and headers, HANG (no answer), ENDLESS (a body without an end) or DRIP (a
    header a tenth of a second, without an end).
    """

    url: str = ""
    answers: list[Any] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def titles(self) -> list[str]:
        """Of the alerts that it has had, as a webhook gets them."""
        return [body["title"] for body in self.received]


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A server that ends with the block."""
    told = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.received.append(json.loads(body))
            told.keys.append(self.headers["Idempotency-Key"])
            _answer(self, told.answers.pop(0) if told.answers else 200, told.stopped)

        def do_GET(self) -> None:
            told.received.append({"title": f"GET {self.path}"})
            _answer(self, 200, told.stopped)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.url = f"http://127.0.0.1:{server.server_port}/services/T0/B0/hook-secret"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield told
    finally:
        told.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, answer: Any, stopped: threading.Event) -> None:
    if answer == HANG:
        stopped.wait(60)
        return
    try:
        if answer == DRIP:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not stopped.wait(0.1):
                handler.wfile.write(b"X-More: yes\r\n")
            return
        status, headers = answer if isinstance(answer, tuple) else (200 if answer == ENDLESS else answer, {})
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        while answer == ENDLESS and not stopped.is_set():
            handler.wfile.write(b"x" * 65_536)
    except OSError:
        pass  # the client has seen enough
