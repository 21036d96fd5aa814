"""A real Weaviate server on this machine, for tests, benchmarks and a first try: found or built, started, ended."""

from __future__ import annotations

from resources.weaviate_server.address import Address
from resources.weaviate_server.provision import VERSION, NoServer, find_program, provide_program
from resources.weaviate_server.server import ServerFailed, ServerOptions, WeaviateServer

__all__ = [
    "VERSION",
    "Address",
    "NoServer",
    "ServerFailed",
    "ServerOptions",
    "WeaviateServer",
    "find_program",
    "provide_program",
]
