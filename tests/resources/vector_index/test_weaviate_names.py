"""Names on the server: an alias that leads astray, a class that is another's, a prefix that fits two tenants."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from weaviate import WeaviateClient
from weaviate.classes.config import Configure

from resources.vector_index import IndexSpec, VectorIndexError
from resources.vector_index.weaviate import WeaviateIndex
from resources.vector_index.weaviate_connection import WeaviateConnection
from resources.vector_index.weaviate_schema import ClassNames, alias_name
from resources.weaviate_server import Address
from tests.resources.vector_index.corpus import DIMENSION, batches, chunk, chunks, digests

SPEC = IndexSpec(DIMENSION)


@pytest.fixture
def client(weaviate_server: Address) -> Iterator[WeaviateClient]:
    """Another user of the server, without anything of ours."""
    with weaviate_server.client() as client:
        yield client


@pytest.fixture
def tenant() -> str:
    return f"n{uuid4().hex[:12]}"


@pytest.fixture
def index(weaviate_server: Address, tenant: str) -> Iterator[WeaviateIndex]:
    address = weaviate_server
    index = WeaviateIndex(WeaviateConnection(address.url, address.grpc_port, api_key=address.key), tenant=tenant)
    yield index
    for collection in index.collections():
        index.drop(collection)


def test_the_alias_follows_what_is_published_and_goes_back(index, client, tenant):
    snapshots = []
    for collection, title in (("book__1", "first"), ("book__2", "second")):
        index.create(collection, SPEC)
        snapshots.append(index.apply(collection, None, batches(chunks(range(3), title=title)), []))
    for place, title in ((0, "first"), (1, "second"), (0, "first"), (0, "first")):
        index.publish("book", snapshots[place])
        assert index.published("book") == snapshots[place].collection
        rows = client.collections.use(alias_name(tenant, "book"))
        found = rows.query.bm25("clause", query_properties=["search_text"], limit=3).objects
        assert {item.properties["title"] for item in found} == {title}


def test_an_alias_in_other_hands_is_left_alone(index, client, tenant):
    foreign = f"Foreign{uuid4().hex[:8]}"
    client.collections.create(foreign, vector_config=Configure.Vectors.self_provided())
    client.alias.create(alias_name=alias_name(tenant, "book"), target_collection=foreign)
    index.create("book__1", SPEC)
    with pytest.raises(VectorIndexError, match="not this tenant's"):
        index.publish("book", index.apply("book__1", None, batches(chunks(range(3))), []))
    assert index.published("book") == foreign
    client.alias.delete(alias_name=alias_name(tenant, "book"))
    client.collections.delete(foreign)


def test_a_class_that_is_not_ours_is_neither_used_nor_removed(index, client, tenant):
    name = ClassNames(tenant).of("book__1")
    client.collections.create(name, vector_config=Configure.Vectors.self_provided())
    with pytest.raises(VectorIndexError, match="did not make"):
        index.create("book__1", SPEC)
    index.drop("book__1")
    assert client.collections.exists(name)
    client.collections.delete(name)


@pytest.mark.parametrize("other", ["a__b", "a_", "a_5f", "aa"])
def test_no_tenant_has_a_prefix_that_another_tenants_classes_begin_with(other):
    assert not ClassNames(other).of("book").startswith(ClassNames("a").prefix)


def test_forgetting_writes_the_class_anew_and_the_alias_follows(index, client, tenant):
    index.create("book__1", SPEC)
    snapshot = index.apply("book__1", None, batches([*chunks(range(20)), chunk(50, text="zebrafinch")]), [])
    index.publish("book", snapshot)
    before = client.alias.get(alias_name=alias_name(tenant, "book")).collection
    replaced = index.forget("book__1", ["c000050"], [snapshot])
    index.tidy("book__1", list(replaced.values()), purge=True)
    after = client.alias.get(alias_name=alias_name(tenant, "book")).collection
    assert after != before
    assert not client.collections.exists(before)
    assert index.row_digests(replaced[snapshot]) == digests(chunks(range(20)))
    assert index.published("book") == "book__1"
    again = index.apply("book__1", replaced[snapshot], batches([chunk(60)]), [])
    assert index.count(again) == 21
