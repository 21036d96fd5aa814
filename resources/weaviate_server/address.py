"""Where a server answers, and a plain client of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

if TYPE_CHECKING:
    import weaviate

GRPC_PORTS = {"http": 50051, "https": 443}
"""Weaviate's own default, and Weaviate Cloud's."""


@dataclass(frozen=True)
class Address:
    """A server and the key to it.

    Attributes:
        url: of HTTP, such as `http://127.0.0.1:8080`.
        grpc_port: on the same host.
        key: API key; None for a server that lets everyone in.
    """

    url: str
    grpc_port: int
    key: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls) -> Self | None:
        """The server of WEAVIATE_URL, with WEAVIATE_API_KEY and WEAVIATE_GRPC_PORT where they are set."""
        if not (url := os.environ.get("WEAVIATE_URL")):
            return None
        port = os.environ.get("WEAVIATE_GRPC_PORT") or GRPC_PORTS.get(urlsplit(url).scheme, 50051)
        return cls(url.rstrip("/"), int(port), os.environ.get("WEAVIATE_API_KEY"))

    def with_key(self, key: str) -> Self:
        """The same server for another user."""
        return replace(self, key=key)

    @property
    def ready(self) -> bool:
        """It answers, and is able to work."""
        try:
            with urlopen(f"{self.url}/v1/.well-known/ready", timeout=5) as response:  # noqa: S310  (http or https)
                return response.status == 200
        except (URLError, OSError):
            return False

    def client(self) -> weaviate.WeaviateClient:
        """A connected client, without any setting of ours. The caller closes it."""
        import weaviate
        from weaviate.classes.init import Auth

        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        host = parts.hostname or "localhost"
        return weaviate.connect_to_custom(
            http_host=host,
            http_port=parts.port or (443 if secure else 80),
            http_secure=secure,
            grpc_host=host,
            grpc_port=self.grpc_port,
            grpc_secure=secure,
            auth_credentials=Auth.api_key(self.key) if self.key else None,
        )
