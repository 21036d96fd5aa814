"""One connection per process to a Weaviate server, and what its errors mean.

A server that is busy, restarting or away is asked again with growing pauses; everything else is said at once, in
words that name the place and the way out. The key is in no message, representation or log.
"""

from __future__ import annotations

import atexit
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from resources.vector_index.errors import (
    IndexFull,
    IndexRefused,
    IndexUnavailable,
    UnknownCollection,
    VectorIndexError,
)
from resources.vector_index.weaviate_settings import ServerSettings

if TYPE_CHECKING:
    from weaviate import WeaviateClient

LEAST_VERSION = (1, 32)  # the first with aliases
STREAMING_VERSION = (1, 36)  # the first with server-side batching
_BUSY_CODES = frozenset({429, 500, 502, 503, 504})
_BUSY_GRPC = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED"})
_LONGEST_PAUSE = 10.0

T = TypeVar("T")


@dataclass(frozen=True)
class WeaviateConnection:
    """Where a server is, and the key that it wants.

    Attributes:
        url: `http://host:port` or `https://host`.
        grpc_port: of the gRPC service; by default 443 with https, else 50051.
        grpc_host: by default the host of `url`; Weaviate Cloud has one of its own, which is worked out.
        api_key: in no representation.
        folder: of a server of our own; where it has ended, it is started again, perhaps at another address.
    """

    url: str
    grpc_port: int | None = None
    grpc_host: str | None = None
    api_key: str | None = field(default=None, repr=False)
    folder: Path | None = None

    @property
    def place(self) -> str:
        """The address as messages show it, without user and password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


class Server:
    """A server as the index uses it. Safe in several threads; not across a fork.

    Args:
        connection: where it is.
        settings: time-outs and patience.
    """

    def __init__(self, connection: WeaviateConnection, settings: ServerSettings) -> None:
        self.connection, self.settings = connection, settings
        self._connecting = threading.RLock()

    @property
    def client(self) -> WeaviateClient:
        """The client, connected on first use.

        Raises:
            IndexUnavailable: the server does not answer in time.
            IndexRefused: it refuses the key, or is too old.
        """
        with self._connecting:
            return self._connected

    @cached_property
    def _connected(self) -> WeaviateClient:
        return self._retried("connect", self._connect)

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version of the server."""
        return major_minor(self.call("look at the server", lambda client: client.get_meta())["version"])

    def close(self) -> None:
        """End the connection; the next use opens a new one."""
        with self._connecting:
            if client := self.__dict__.pop("_connected", None):
                client.close()

    def call(self, what: str, request: Callable[[WeaviateClient], T]) -> T:
        """Run a request that may be repeated, with back-off while the server is busy or away.

        Args:
            what: what is done, for messages: "count 'handbook'".
            request: given the client.

        Raises:
            IndexUnavailable: still busy or away after `retry_seconds`.
            IndexRefused: wrong key, no permission.
            IndexFull: it takes no writes.
            UnknownCollection: the server has no such class.
            VectorIndexError: anything else that it refuses.
        """
        return self._retried(what, lambda: request(self.client))

    def _retried(self, what: str, request: Callable[[], T]) -> T:
        deadline, pause = time.monotonic() + self.settings.retry_seconds, 0.2
        while True:
            try:
                return request()
            except VectorIndexError:
                raise
            except Exception as error:
                meant = self._meaning(what, error)
                if (meant is None or isinstance(meant, IndexRefused)) and self._came_back():
                    continue
                if meant is not None:
                    raise meant from error
                if time.monotonic() + pause > deadline:
                    raise IndexUnavailable(
                        f"{what}: Weaviate at {self.connection.place} does not answer or is too busy "
                        f"({self.settings.retry_seconds:g} s tried): {_line(error)}; what is served is as it was"
                    ) from error
            time.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - spreads retries, guards nothing
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _came_back(self) -> bool:
        """Whether a server of our own has ended, and another one runs on its data."""
        if self.connection.folder is None:
            return False
        from resources.vector_index.weaviate_embedded import embedded_server

        at = embedded_server(self.connection.folder)
        with self._connecting:
            before = self.connection
            self.connection = replace(before, url=at.url, grpc_port=at.grpc_port, api_key=at.key)
            if self.connection == before:
                return False
            self.close()
        return True

    def _meaning(self, what: str, error: Exception) -> VectorIndexError | None:
        """What an error means for the user; None if trying again is worth it.

        Raises:
            Exception: the error itself, if it did not come from the server.
        """
        from weaviate.exceptions import WeaviateBaseError

        place, text = self.connection.place, _line(error)
        if is_busy(error):
            return None
        if not isinstance(error, WeaviateBaseError):
            raise error
        code, low = _status(error), text.lower()
        if code == 401 or "unauthenticated" in low or "anonymous access not enabled" in low or "unauthorized" in low:
            return IndexRefused(f"{what}: Weaviate at {place} refuses the key; set WEAVIATE_API_KEY")
        if code == 403 or "permission" in low or "forbidden" in low:
            return IndexRefused(f"{what}: the key may not do this at {place}: {text}")
        if _no_class(low):
            return UnknownCollection(f"{what}: Weaviate at {place} has no such collection")
        if "tenant" in low and ("not active" in low or "inactive" in low or "cold" in low or "offload" in low):
            return VectorIndexError(f"{what}: the tenant is not active at {place}; activate it and run again: {text}")
        if is_full(text):
            return full(what, text)
        return VectorIndexError(f"{what}: Weaviate at {place} refused: {text}")

    def _connect(self) -> WeaviateClient:
        import weaviate
        from weaviate.classes.init import AdditionalConfig, Auth, Timeout

        parts, seconds = urlsplit(self.connection.url), self.settings.timeout_seconds
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise IndexRefused("WEAVIATE_URL: an address such as http://127.0.0.1:8080 is needed")
        secure = parts.scheme == "https"
        client = weaviate.connect_to_custom(
            http_host=parts.hostname,
            http_port=parts.port or (443 if secure else 80),
            http_secure=secure,
            grpc_host=self.connection.grpc_host or _grpc_host(parts.hostname),
            grpc_port=self.connection.grpc_port or (443 if secure else 50051),
            grpc_secure=secure,
            auth_credentials=Auth.api_key(self.connection.api_key) if self.connection.api_key else None,
            additional_config=AdditionalConfig(timeout=Timeout(init=10, query=seconds, insert=seconds)),
        )
        try:
            refuse_old(client.get_meta()["version"], self.connection.place)
        except BaseException:
            client.close()
            raise
        return client


def major_minor(version: str) -> tuple[int, int]:
    """`1.35.2-rc.1` as (1, 35)."""
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


def refuse_old(version: str, place: str) -> None:
    """Raises `IndexRefused` for a server without aliases."""
    if major_minor(version) < LEAST_VERSION:
        raise IndexRefused(f"Weaviate at {place} is {version}, which has no aliases: use 1.32 or newer")


_servers: dict[tuple[WeaviateConnection, ServerSettings], Server] = {}
_opening = threading.Lock()


def open_server(connection: WeaviateConnection, settings: ServerSettings) -> Server:
    """The process's one connection to a server."""
    with _opening:
        if (connection, settings) not in _servers:
            _servers[connection, settings] = server = Server(connection, settings)
            atexit.register(server.close)
        return _servers[connection, settings]


def is_busy(error: BaseException) -> bool:
    """Whether an error says that the server is overloaded, restarting or out of reach."""
    import grpc
    import httpx
    from weaviate import exceptions as weaviate

    if isinstance(error, (weaviate.WeaviateRetryError, weaviate.WeaviateTimeoutError, httpx.TransportError)):
        return True
    if isinstance(error, (weaviate.WeaviateConnectionError, weaviate.WeaviateGRPCUnavailableError)):
        return True
    if isinstance(error, (weaviate.WeaviateStartUpError, weaviate.WeaviateClosedClientError)):
        return True
    if isinstance(error, weaviate.UnexpectedStatusCodeError):
        return _status(error) in _BUSY_CODES and not is_full(str(error)) and not _permanent(str(error))
    cause = error.__context__ if isinstance(error, weaviate.WeaviateQueryError) else error  # raised without `from`
    if isinstance(cause, weaviate.WeaviateRetryError):
        return True
    if not isinstance(cause, grpc.RpcError):
        return False
    return isinstance(cause, grpc.Call) and cause.code().name in _BUSY_GRPC


def is_full(text: str) -> bool:
    """Whether a message says that the server takes no writes because its disk or memory is full."""
    low = text.lower()
    return "read-only" in low or "readonly" in low or "no space left" in low or "memory pressure" in low


def full(what: str, text: str) -> IndexFull:
    """The error for a server that takes no writes."""
    return IndexFull(
        f"{what}: the server takes no writes, its disk or memory is full ({text}); what is served is as it was. "
        "Free space, set the shards to READY, and run again"
    )


def _permanent(text: str) -> bool:
    """Weaviate answers 500 for some requests that will never succeed."""
    low = text.lower()
    return any(
        sign in low for sign in ("not active", "different from", "vector lengths", "already exists", "invalid")
    )


def _no_class(low: str) -> bool:
    """Whether a message says that there is no such class; each of the server's parts has words of its own for it."""
    return bool(re.search(r"could not find class|class\b.{0,300}not found|not found in schema|404.*class", low))


def _status(error: Exception) -> int | None:
    return getattr(error, "status_code", None)


def _grpc_host(host: str) -> str:
    """Weaviate Cloud serves gRPC on a host of its own."""
    cloud = host.endswith((".weaviate.cloud", ".weaviate.network"))
    return f"grpc-{host}" if cloud else host


def _line(error: BaseException) -> str:
    """The message on one line, at most 400 characters."""
    return " ".join(str(error).split())[:400]
