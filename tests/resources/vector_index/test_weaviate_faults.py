"""A server that is overloaded, too old, or gone at the moment of the swap: retried or said; nothing served moves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from resources.vector_index import IndexSpec, IndexUnavailable, Snapshot
from resources.vector_index.weaviate import WeaviateIndex
from resources.vector_index.weaviate_connection import WeaviateConnection
from resources.vector_index.weaviate_settings import ServerSettings
from resources.weaviate_server import Address
from tests.resources.vector_index.corpus import DIMENSION, batches, chunks, topic_vector
from tests.resources.vector_index.fault_proxy import FaultProxy, fault_proxy

SPEC = IndexSpec(DIMENSION)


@pytest.fixture
def proxy(weaviate_server: Address) -> Iterator[FaultProxy]:
    with fault_proxy(weaviate_server.url) as proxy:
        yield proxy


@pytest.fixture
def index(proxy: FaultProxy, weaviate_server: Address) -> Iterator[WeaviateIndex]:
    """A tenant of its own, whose HTTP requests pass the proxy."""
    connection = WeaviateConnection(proxy.url, weaviate_server.grpc_port, api_key=weaviate_server.key)
    settings = ServerSettings(retry_seconds=2, timeout_seconds=10)
    index = WeaviateIndex(connection, tenant=f"t{uuid4().hex[:12]}", settings=settings)
    yield index
    proxy.fault = lambda method, path: None
    for collection in index.collections():
        index.drop(collection)
    index.close()


def _filled(index: WeaviateIndex, collection: str) -> Snapshot:
    index.create(collection, SPEC)
    return index.apply(collection, None, batches(chunks(range(20))), [])


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_too_busy_twice_is_asked_again(index, proxy, status):
    def busy(method: str, path: str) -> tuple[int, bytes] | None:
        return (status, b'{"error": "too busy"}') if "schema" in path and len(proxy.faults) < 2 else None

    proxy.fault = busy
    snapshot = _filled(index, "handbook")
    assert len(proxy.faults) == 2
    assert index.count(snapshot) == 20


def test_a_server_that_stays_too_busy_is_named_once_patience_is_over(index, proxy):
    proxy.fault = lambda method, path: (429, b'{"error": "too busy"}') if "schema" in path else None
    with pytest.raises(IndexUnavailable, match=rf"{proxy.url}.*too busy.*what is served is as it was"):
        index.create("handbook", SPEC)


def test_a_server_that_says_that_it_is_too_old_is_refused_before_anything_is_written(index, proxy):
    meta = json.dumps({"hostname": "x", "version": "1.30.5", "modules": {}}).encode()
    proxy.fault = lambda method, path: (200, meta) if path.startswith("/v1/meta") else None
    with pytest.raises(IndexUnavailable, match=r"is 1\.30\.5, which has no aliases: use 1\.32 or newer"):
        index.create("handbook", SPEC)
    assert not any("schema" in asked for asked in proxy.faults)


def test_a_server_that_is_gone_at_the_swap_leaves_the_alias_and_the_next_run_moves_it(index, proxy):
    first = _filled(index, "handbook__a")
    index.publish("handbook", first)
    second = _filled(index, "handbook__b")

    def gone(method: str, path: str) -> tuple[int, bytes] | None:
        moves = method in {"PUT", "POST", "DELETE"} and "aliases" in path
        return (503, b'{"error": "shutting down"}') if moves else None

    proxy.fault = gone
    with pytest.raises(IndexUnavailable, match="what is served is as it was"):
        index.publish("handbook", second)
    assert proxy.faults
    assert index.published("handbook") == first
    assert index.search(first, vector=topic_vector("lease"), mode="vector", k=3)
    proxy.fault = lambda method, path: None
    index.publish("handbook", second)
    assert index.published("handbook") == second
