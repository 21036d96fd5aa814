"""Names on the server: an alias that leads astray, a class that is another's, a prefix that fits two tenants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from weaviate import WeaviateClient
from weaviate.classes.config import Configure

from resources.vector_index import IndexSpec, Snapshot, SnapshotGone, UnknownCollection, VectorIndexError
from resources.vector_index.weaviate import WeaviateIndex
from resources.vector_index.weaviate_connection import WeaviateConnection
from resources.vector_index.weaviate_schema import SHARED, ClassNames
from resources.vector_index.weaviate_settings import ServerSettings
from resources.weaviate_server import Address
from tests.resources.vector_index.corpus import DIMENSION, batches, chunk, chunks, digests, topic_vector

SPEC = IndexSpec(DIMENSION)
README = Path(__file__).parents[3] / "README.md"


@pytest.fixture
def client(weaviate_server: Address) -> Iterator[WeaviateClient]:
    """Another user of the server, without anything of ours."""
    with weaviate_server.client() as client:
        yield client


@pytest.fixture
def tenant() -> str:
    return f"n{uuid4().hex[:12]}"


@pytest.fixture
def opened(weaviate_server: Address, tenant: str) -> Iterator[Callable[..., WeaviateIndex]]:
    """`opened(installation, **settings)`: the tenant's index as a target of that state database has it."""
    address, made = weaviate_server, []
    connection = WeaviateConnection(address.url, address.grpc_port, api_key=address.key)

    def index_of(installation: str = "", **settings: Any) -> WeaviateIndex:
        chosen = ServerSettings(**settings)
        index = WeaviateIndex(connection, tenant=tenant, settings=chosen, installation=installation)
        made.append(index)
        return index

    yield index_of
    for index in made:
        for collection in index.collections():
            index.drop(collection)


@pytest.fixture
def index(opened: Callable[..., WeaviateIndex]) -> WeaviateIndex:
    return opened()


def test_the_alias_follows_what_is_published_and_goes_back(index, client, tenant):
    snapshots = []
    for collection, title in (("book__1", "first"), ("book__2", "second")):
        index.create(collection, SPEC)
        snapshots.append(index.apply(collection, None, batches(chunks(range(3), title=title)), []))
    for place, title in ((0, "first"), (1, "second"), (0, "first"), (0, "first")):
        index.publish("book", snapshots[place])
        assert index.published("book") == snapshots[place]
        rows = client.collections.use(ClassNames(tenant).alias("book"))
        found = rows.query.bm25("clause", query_properties=["search_text"], limit=3).objects
        assert {item.properties["title"] for item in found} == {title}


def _readme_search() -> Callable[..., list[Any]]:
    """The function that README gives to those who search by the alias, with nothing of this project."""
    [block] = [part for part in README.read_text("utf-8").split("```python")[1:] if "def search_served(" in part]
    names: dict[str, Any] = {}
    exec(block.split("```")[0], names)
    return names["search_served"]


def test_readers_by_the_alias_see_what_is_served_and_nothing_else(index, client, tenant):
    search, alias = _readme_search(), ClassNames(tenant).alias("book")

    def found() -> dict[str, Any]:
        rows = search(client, alias, topic_vector("lease").tolist(), 50)
        return {row.properties["chunk_id"]: row.properties["row_digest"] for row in rows}

    index.create("book__1", SPEC)
    old, new = chunks(range(6)), [*chunks([0]), *chunks(range(2, 9), title="new")]
    first = index.apply("book__1", None, batches(old), [])
    index.publish("book", first)
    second = index.apply("book__1", first, batches(new), ["c000001"])
    assert found() == digests(old)
    index.publish("book", second)
    assert found() == digests(new)
    index.tidy("book__1", [second], purge=True)
    assert found() == digests(new)
    index.publish("book", index.restore(second))
    replaced = index.forget("book__1", ["c000003"], [second])
    assert "c000003" not in found()
    index.tidy("book__1", [replaced[second]], purge=True)
    assert found().keys() == digests(new).keys() - {"c000003"}
    assert index.published("book") == replaced[second]


def test_an_alias_in_other_hands_is_left_alone(index, client, tenant):
    foreign = f"Foreign{uuid4().hex[:8]}"
    client.collections.create(foreign, vector_config=Configure.Vectors.self_provided())
    client.alias.create(alias_name=ClassNames(tenant).alias("book"), target_collection=foreign)
    index.create("book__1", SPEC)
    with pytest.raises(VectorIndexError, match="not this tenant's"):
        index.publish("book", index.apply("book__1", None, batches(chunks(range(3))), []))
    assert index.published("book") == Snapshot(foreign, None)
    client.alias.delete(alias_name=ClassNames(tenant).alias("book"))
    client.collections.delete(foreign)


def test_a_class_that_is_not_ours_is_neither_used_nor_removed(index, client, tenant):
    name = ClassNames(tenant).of("book__1")
    client.collections.create(name, vector_config=Configure.Vectors.self_provided())
    with pytest.raises(VectorIndexError, match="did not make"):
        index.create("book__1", SPEC)
    index.drop("book__1")
    assert client.collections.exists(name)
    client.collections.delete(name)


def test_two_targets_with_one_server_do_not_touch_each_others_collections(opened, client, tenant):
    dev, prod = opened("dev"), opened("prod")
    prod.create("book__1", SPEC)
    served = prod.apply("book__1", None, batches(chunks(range(3))), [])
    prod.publish("book", served)
    assert dev.collections() == []
    assert dev.latest("book__1") is None
    dev.drop("book__1")
    with pytest.raises(VectorIndexError, match=r"another target.*name of its own in profiles\.yml"):
        dev.create("book__1", SPEC)
    dev.create("book__2", SPEC)
    with pytest.raises(VectorIndexError, match=r"another target's.*name of its own in profiles\.yml"):
        dev.publish("book", dev.apply("book__2", None, batches(chunks(range(3))), []))
    assert prod.published("book") == served
    assert prod.count(served) == 3

    named = opened("dev", name="Dev")
    named.create("book__1", SPEC)
    named.publish("book", own := named.apply("book__1", None, batches(chunks(range(5))), []))
    assert (named.published("book"), prod.published("book")) == (own, served)
    assert client.alias.exists(alias_name=ClassNames(tenant, "Dev").alias("book"))
    named.drop("book__1")
    assert prod.count(served) == 3


def test_multi_tenancy_that_is_switched_on_later_is_refused_with_the_way_out(opened):
    own, shared = opened(), opened(multi_tenancy=True)
    for index in (own, shared):
        index.create("book__1", SPEC)
    own.publish("book", served := own.apply("book__1", None, batches(chunks(range(3))), []))
    with pytest.raises(VectorIndexError, match=r"another multi_tenancy.*name of its own"):
        shared.publish("book", shared.latest("book__1"))
    assert own.published("book") == served


def test_an_alias_whose_class_is_gone_is_taken_over(index, client, tenant):
    for collection in ("book__1", "book__2"):
        index.create(collection, SPEC)
    index.publish("book", index.latest("book__1"))
    index.drop("book__1")
    assert index.published("book") is None
    index.publish("book", index.latest("book__2"))
    assert index.published("book") == index.latest("book__2")


@pytest.mark.parametrize("other", ["a__b", "a_", "a_5f", "aa", SHARED, "shared"])
def test_no_tenant_has_a_prefix_that_another_tenants_classes_begin_with(other):
    assert not ClassNames(other).of("book").startswith(ClassNames("a").prefix)
    assert other == SHARED or not ClassNames(other).of("book").startswith(ClassNames(SHARED).prefix)


def test_forgetting_writes_the_class_anew_and_the_alias_follows(index, client, tenant):
    index.create("book__1", SPEC)
    snapshot = index.apply("book__1", None, batches([*chunks(range(20)), chunk(50, text="zebrafinch")]), [])
    index.publish("book", snapshot)
    before = client.alias.get(alias_name=ClassNames(tenant).alias("book")).collection
    replaced = index.forget("book__1", ["c000050"], [snapshot])
    index.tidy("book__1", list(replaced.values()), purge=True)
    after = client.alias.get(alias_name=ClassNames(tenant).alias("book")).collection
    assert after != before
    assert not client.collections.exists(before)
    assert index.row_digests(replaced[snapshot]) == digests(chunks(range(20)))
    assert index.published("book") == replaced[snapshot]
    again = index.apply("book__1", replaced[snapshot], batches([chunk(60)]), [])
    assert index.count(again) == 21


def test_a_forgetting_that_is_cut_off_before_the_swap_ends_well_when_it_is_repeated(
    index, client, tenant, monkeypatch
):
    index.create("book__1", SPEC)
    served = index.apply("book__1", None, batches(chunks(range(9))), [])
    index.publish("book", served)

    def cut_off(*_: object) -> None:
        raise RuntimeError("killed")

    served = index.forget("book__1", ["c000001"], [served])[served]
    with monkeypatch.context() as patched:
        patched.setattr(index.catalogue, "move_aliases", cut_off)
        with pytest.raises(RuntimeError, match="killed"):
            index.tidy("book__1", [served], purge=True)
    for forgotten in (["c000001"], ["c000002"]):  # repeated, and another one after it
        served = index.forget("book__1", forgotten, [served])[served]
    index.tidy("book__1", [served], purge=True)
    rest = {key: row for key, row in digests(chunks(range(9))).items() if key not in {"c000001", "c000002"}}
    assert index.row_digests(served) == rest
    assert index.published("book") == served
    assert [name for name in client.collections.list_all() if name.startswith(ClassNames(tenant).prefix)] == [
        client.alias.get(alias_name=ClassNames(tenant).alias("book")).collection
    ]


def test_readers_go_on_while_a_class_is_tidied_and_written_anew_and_are_told_when_it_is_dropped(index, opened):
    index.create("book__1", SPEC)
    old = index.apply("book__1", None, batches(chunks(range(60), title="old")), [])
    kept = index.apply("book__1", old, batches(chunks(range(60), title="new")), [])
    reader, ended, found = opened(), Event(), []

    def read() -> str:
        while not ended.is_set():
            try:
                hits = reader.search(kept, text="clause", vector=topic_vector("lease"), k=60)
            except (SnapshotGone, UnknownCollection) as error:
                return type(error).__name__
            found.append((len(hits), {hit.title for hit in hits}))
        return "told to stop"

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            index.tidy("book__1", [kept], purge=True)
            assert not reading.done(), "written anew it is still there"
            index.drop("book__1")
            assert reading.result(30) in {"SnapshotGone", "UnknownCollection"}
        finally:
            ended.set()
    assert len(found) > 10
    assert {(count, *titles) for count, titles in found} == {(60, "new")}
