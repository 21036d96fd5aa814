"""Ports that stay ours for as long as a server may be restarted on them."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.locks import file_lock

FIRST, LAST = 21_000, 31_000
"""Below Linux's ephemeral ports (32768 and up), one of which any outgoing connection may take at any moment."""


@contextmanager
def reserved_ports(count: int) -> Iterator[range]:
    """`count` consecutive free ports; no other caller on this host gets them before the block is left.

    Raises:
        OSError: there are none.
    """
    locks = Path(tempfile.gettempdir()) / f"llm-assets-ports-{os.getuid()}"
    for first in range(FIRST, LAST, count):
        ports = range(first, first + count)
        try:
            reservation = file_lock(locks, str(first), None, timeout=0)
            reservation.__enter__()
        except TimeoutError:
            continue
        try:
            if all(_free(port) for port in ports):
                yield ports
                return
        finally:
            reservation.__exit__(None, None, None)
    raise OSError(f"no {count} consecutive free ports between {FIRST} and {LAST}")


def _free(port: int) -> bool:
    """Nobody listens on it, on any address, by TCP or UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            try:
                probe.bind(("", port))
            except OSError:
                return False
    return True
