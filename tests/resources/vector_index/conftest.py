"""Every backend that the conformance tests run against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from resources.vector_index import IndexSpec, Snapshot, VectorIndex
from resources.vector_index.lancedb import LanceIndex
from tests.resources.vector_index.corpus import DIMENSION, batches


def _lance(request: pytest.FixtureRequest) -> Iterator[VectorIndex]:
    yield LanceIndex(request.getfixturevalue("tmp_path") / "index")


def _weaviate(request: pytest.FixtureRequest) -> Iterator[VectorIndex]:
    """A tenant of its own on the tests' server, so that no test sees another's collections."""
    from resources.vector_index.weaviate import WeaviateIndex
    from resources.vector_index.weaviate_connection import WeaviateConnection

    address = request.getfixturevalue("weaviate_server")
    connection = WeaviateConnection(address.url, address.grpc_port, api_key=address.key)
    index = WeaviateIndex(connection, tenant=f"t{uuid4().hex[:12]}")
    yield index
    for collection in index.collections():
        index.drop(collection)


BACKENDS: dict[str, Callable[[pytest.FixtureRequest], Iterator[VectorIndex]]] = {
    "lance": _lance,
    "weaviate": _weaviate,
}


@pytest.fixture(params=sorted(BACKENDS))
def index(request: pytest.FixtureRequest) -> Iterator[VectorIndex]:
    yield from BACKENDS[request.param](request)


@pytest.fixture
def filled(index: VectorIndex) -> Callable[[list[dict[str, Any]]], Snapshot]:
    """Make the collection `handbook` hold some rows."""

    def fill(rows: list[dict[str, Any]]) -> Snapshot:
        index.create("handbook", IndexSpec(DIMENSION))
        return index.apply("handbook", index.latest("handbook"), batches(rows), [])

    return fill
