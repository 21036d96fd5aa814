"""A server that is away, full, forbidding or filled by others: said in one line; what is served stays as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from weaviate.classes.rbac import Permissions
from weaviate.classes.tenants import Tenant, TenantActivityStatus

from resources.vector_index import (
    IndexRefused,
    IndexSpec,
    IndexUnavailable,
    InvalidRows,
    RowsRefused,
    Snapshot,
    VectorIndexError,
)
from resources.vector_index import weaviate_writing as writing
from resources.vector_index.rows import fitted
from resources.vector_index.weaviate import WeaviateIndex, connection_of
from resources.vector_index.weaviate_connection import WeaviateConnection, refuse_old
from resources.vector_index.weaviate_schema import SHARED, ClassNames
from resources.vector_index.weaviate_settings import ServerSettings
from resources.weaviate_server import Address, ServerOptions, WeaviateServer
from tests.resources.vector_index.corpus import DIMENSION, batches, chunk, chunks, digests, topic_vector

SPEC = IndexSpec(DIMENSION)
KEY = "key-of-anna-0123456789"
IMPATIENT = ServerSettings(retry_seconds=1, timeout_seconds=10)


def _connection(address: Address, key: str | None = None) -> WeaviateConnection:
    return WeaviateConnection(address.url, address.grpc_port, api_key=key or address.key)


def _index(
    address: Address, tenant: str, settings: ServerSettings = IMPATIENT, key: str | None = None
) -> WeaviateIndex:
    return WeaviateIndex(_connection(address, key), tenant=tenant, settings=settings)


def _filled(index: WeaviateIndex, rows: int = 20) -> Snapshot:
    index.create("handbook", SPEC)
    return index.apply("handbook", None, batches(chunks(range(rows))), [])


@pytest.fixture
def server(weaviate_program: Path, tmp_path: Path) -> Iterator[WeaviateServer]:
    """A server that a test may end."""
    with WeaviateServer(weaviate_program, tmp_path / "server") as server:
        yield server


@pytest.fixture(scope="module")
def guarded(weaviate_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeaviateServer]:
    """A server where a user has only the rights that it is given."""
    options = ServerOptions(keys={"anna": KEY}, rbac=True)
    with WeaviateServer(weaviate_program, tmp_path_factory.mktemp("guarded"), options) as server:
        yield server


def test_a_server_that_is_not_there_is_named_and_the_key_is_not(server):
    address = server.address
    server.stop()
    with pytest.raises(IndexUnavailable, match=address.url) as raised:
        _index(address, "a").collections()
    assert str(address.key) not in f"{raised.value} {raised.value.__cause__} {_connection(address)!r}"


def test_a_wrong_key_is_said_with_the_way_out(guarded):
    with pytest.raises(IndexRefused, match="WEAVIATE_API_KEY"):
        _index(guarded.address, "a", key="wrong-key-of-nobody").collections()


def test_a_tenant_has_a_key_of_its_own_where_one_is_set(monkeypatch, tmp_path):
    for name, value in (("URL", "http://here:1"), ("API_KEY", "of all"), ("API_KEY_ACME_EU", "own")):
        monkeypatch.setenv(f"WEAVIATE_{name}", value)
    keys = {tenant: connection_of(IMPATIENT, tmp_path, tenant).api_key for tenant in ("acme-eu", "acme", "other")}
    assert keys == {"acme-eu": "own", "acme": "of all", "other": "of all"}


def test_an_address_that_is_none_is_refused_at_once():
    with pytest.raises(IndexRefused, match="WEAVIATE_URL: an address such as"):
        WeaviateIndex(WeaviateConnection("weaviate:8080"), tenant="a", settings=IMPATIENT).collections()


@pytest.mark.parametrize("version", ["1.30.5", "0.99.0", "1.31.22-rc.1"])
def test_a_server_without_aliases_is_refused(version):
    with pytest.raises(IndexRefused, match=f"{version}.*1.32 or newer"):
        refuse_old(version, "http://somewhere")


def test_one_tenants_key_reads_its_own_collections_and_no_others(guarded):
    own, other = "anna", "annabel"
    theirs = _filled(_index(guarded.address, other))
    pattern = f"{ClassNames(own).prefix}*"
    with guarded.address.client() as admin:
        rights = [
            Permissions.collections(
                collection=pattern,
                create_collection=True,
                read_config=True,
                update_config=True,
                delete_collection=True,
            ),
            Permissions.data(collection=pattern, create=True, read=True, update=True, delete=True),
            Permissions.Nodes.verbose(collection=pattern, read=True),
            Permissions.alias(alias=pattern, collection=pattern, create=True, read=True, update=True, delete=True),
            Permissions.tenants(collection=pattern, tenant="*", read=True),
        ]
        admin.roles.create(role_name="anna", permissions=rights)
        admin.users.db.assign_roles(user_id="anna", role_names=["anna"])
    index = _index(guarded.address, own, key=KEY)
    snapshot = _filled(index)
    index.publish("handbook", snapshot)
    assert index.verify(snapshot, 20).problems() == []
    assert index.search(snapshot, text="clause", vector=topic_vector("lease"))
    thief = _index(guarded.address, other, key=KEY)
    assert thief.collections() == []
    with guarded.address.with_key(KEY).client() as plain, pytest.raises(Exception, match=r"(?i)forbidden|permission"):
        plain.collections.use(ClassNames(other).of("handbook")).query.fetch_objects(limit=1)
    assert _index(guarded.address, other).count(theirs) == 20


def test_a_write_goes_on_after_the_server_was_killed_and_came_back(server):
    index = _index(server.address, "a", ServerSettings(retry_seconds=90, batch_size=20))
    before = _filled(index)
    died = threading.Event()

    def rows():
        for place, batch in enumerate(batches(chunks(range(20, 200), title="late"), 20)):
            if place == 3:
                server.kill()
                died.set()
            yield batch

    def bring_back():
        died.wait()
        server.start()

    nurse = threading.Thread(target=bring_back)
    nurse.start()
    after = index.apply("handbook", before, rows(), ["c000003"])
    nurse.join()
    assert index.row_digests(after) == digests(
        [row for row in chunks(range(20)) if row["chunk_id"] != "c000003"] + chunks(range(20, 200), title="late")
    )
    assert index.row_digests(before) == digests(chunks(range(20)))


def test_shards_that_a_full_disk_made_read_only_are_said_and_what_is_served_can_still_be_searched(weaviate_server):
    index = _index(weaviate_server, "full")
    served = _filled(index)
    with weaviate_server.client() as client:
        config = client.collections.use(ClassNames("full").of("handbook")).config
        config.update_shards("READONLY")  # what the server itself does when the disk is full
        assert index.health("handbook")["shards read-only"] == 1
        with pytest.raises(VectorIndexError, match=r"takes no writes.*as it was"):
            index.apply("handbook", None, batches([chunk(90)]), [])
        assert index.row_digests(served) == digests(chunks(range(20)))
        assert index.search(served, text="clause", vector=topic_vector("lease"))
        config.update_shards("READY")
    again = index.apply("handbook", index.latest("handbook"), batches([chunk(90)]), [])
    assert index.verify(again, 21).problems() == []
    index.drop("handbook")


def test_vectors_of_another_dimension_on_the_server_are_named(weaviate_server):
    index = _index(weaviate_server, "dimension")
    index.create("handbook", SPEC)
    with weaviate_server.client() as client:
        rows = client.collections.use(ClassNames("dimension").of("handbook"))
        rows.data.insert({"valid_from": 0, "valid_to": 0, "hidden_from": 0}, vector={"default": [1.0] * 8})
    with pytest.raises(InvalidRows, match="another dimension; c000001"):
        index.apply("handbook", None, batches([chunk(1)]), [])
    index.drop("handbook")


def test_vectors_of_another_dimension_leave_what_is_served_as_it_was(weaviate_server):
    index = _index(weaviate_server, "other_dimension")
    served = _filled(index)
    [batch] = batches([chunk(1, text="Changed.")])
    short = batch.set_column(
        batch.column_names.index("vector"), "vector", pa.array([[1.0] * 8], pa.list_(pa.float32()))
    )
    with pytest.raises(InvalidRows, match=f"{DIMENSION} dimensions"):
        index.apply("handbook", served, [short], ["c000002"])
    with pytest.raises(VectorIndexError, match="new collection"):
        index.create("handbook", IndexSpec(8))
    assert index.row_digests(served) == digests(chunks(range(20)))
    assert index.search(served, text="clause", vector=topic_vector("lease"))
    after = index.apply("handbook", index.create("handbook", SPEC), batches([chunk(90)]), [])
    assert index.verify(after, 21).problems() == []
    index.drop("handbook")


@pytest.mark.parametrize("passes", [True, False])
def test_an_object_that_is_refused_is_sent_again_and_then_named_without_its_text(
    weaviate_server, monkeypatch, caplog, passes
):
    index = _index(weaviate_server, "partly")
    index.create("handbook", SPEC)
    handle = index.catalogue.open("handbook")
    [table] = fitted(batches([chunk(1), chunk(2, text="Of a secret kind.")]), SPEC)
    good, bad = writing.objects(handle, table, 1)
    properties, pauses = bad.properties, []
    ordinal, properties["ordinal"] = properties["ordinal"], "not a number"

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        properties["ordinal"] = ordinal if passes else "not a number"

    monkeypatch.setattr(writing, "time", SimpleNamespace(sleep=wait, monotonic=time.monotonic))
    with nullcontext() if passes else pytest.raises(RowsRefused, match="refused 1 chunks 3 times: c000002"):
        writing.insert(handle, [[good, bad]])
    assert len(pauses) == (1 if passes else 2)
    with weaviate_server.client() as client:
        rows = client.collections.use(handle.class_name)
        assert [rows.data.exists(each.uuid) for each in (good, bad)] == [True, passes]
    assert "secret kind" not in caplog.text
    index.drop("handbook")


def test_tenants_share_a_collection_apart_and_an_inactive_one_is_said(weaviate_server):
    shared = ServerSettings(multi_tenancy=True, retry_seconds=1)
    first, second = (_index(weaviate_server, name, shared) for name in ("mt_one", "mt_two"))
    ours = _filled(first, 10)
    second.create("handbook", SPEC)
    theirs = second.apply("handbook", None, batches(chunks(range(100, 105))), [])
    assert (first.count(ours), second.count(theirs)) == (10, 5)
    assert {hit.chunk_id for hit in second.search(theirs, text="clause", mode="text", k=50)} == {
        f"c{number:06d}" for number in range(100, 105)
    }
    with weaviate_server.client() as client:
        tenants = client.collections.use(ClassNames(SHARED).of("handbook")).tenants
        tenants.update(Tenant(name="mt_two", activity_status=TenantActivityStatus.INACTIVE))
        with pytest.raises(VectorIndexError, match="not active"):
            second.search(theirs, text="clause", mode="text")
        with pytest.raises(VectorIndexError, match="not active"):
            second.apply("handbook", None, batches(chunks(range(3))), [])
        tenants.update(Tenant(name="mt_two", activity_status=TenantActivityStatus.ACTIVE))
    first.drop("handbook")
    assert first.collections() == []
    assert second.count(theirs) == 5
    assert second.latest("handbook") == theirs
    second.drop("handbook")
