"""Settings of a collection: a change in place that is lost, a change that cannot be made and is not noticed."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from pydantic import ValidationError

from resources.vector_index import IndexSpec, VectorIndexError
from resources.vector_index.weaviate import WeaviateIndex
from resources.vector_index.weaviate_connection import WeaviateConnection
from resources.vector_index.weaviate_schema import ClassNames
from resources.vector_index.weaviate_settings import BackupSettings, CollectionSettings, ServerSettings
from resources.weaviate_server import Address
from tests.resources.vector_index.corpus import DIMENSION, batches, chunk, chunks, digests, topic_vector

BACKED_UP = ServerSettings(backup=BackupSettings(before_deletion=True))


def _spec(**settings: object) -> IndexSpec:
    chosen = CollectionSettings.model_validate(settings)
    return IndexSpec(DIMENSION, shape=chosen.shape, tuning=chosen.tuning)


@pytest.fixture
def tenant() -> str:
    return f"s{uuid4().hex[:12]}"


@pytest.fixture
def index(weaviate_server: Address, tenant: str) -> Iterator[WeaviateIndex]:
    address = weaviate_server
    connection = WeaviateConnection(address.url, address.grpc_port, api_key=address.key)
    index = WeaviateIndex(connection, tenant=tenant, settings=BACKED_UP)
    yield index
    plain = WeaviateIndex(connection, tenant=tenant)
    for collection in plain.collections():
        plain.drop(collection)


def test_a_search_setting_is_changed_in_place_and_the_rows_stay(index, weaviate_server, tenant):
    index.create("book", _spec())
    snapshot = index.apply("book", None, batches(chunks(range(20))), [])
    wanted = _spec(ef=333, filter_strategy="sweeping")

    def found() -> tuple[int, str]:
        with weaviate_server.client() as client:
            config = client.collections.use(ClassNames(tenant).of("book")).config.get()
        graph = config.vector_config["default"].vector_index_config
        return graph.ef, graph.filter_strategy

    assert index.tuning("book", _spec()) is None
    for last in ("undo", "keep"):
        assert index.create("book", wanted) == snapshot
        change = index.tuning("book", wanted)
        assert found() == (-1, "acorn")
        change.make()
        assert found() == (333, "sweeping")
        assert index.tuning("book", wanted), "made, but not verified: killed here, it is verified by the next run"
        getattr(change, last)()
    assert found() == (333, "sweeping")
    assert index.tuning("book", wanted) is None
    assert index.row_digests(snapshot) == digests(chunks(range(20)))


@pytest.mark.parametrize(
    "changed",
    [{"tokenization": "trigram"}, {"quantisation": "none"}, {"max_connections": 16}, {"vector_name": "minilm"}],
)
def test_what_cannot_be_changed_needs_a_new_collection_and_works_there(index, changed):
    index.create("book", _spec())
    with pytest.raises(VectorIndexError, match="new collection"):
        index.create("book", _spec(**changed))
    index.create("book_2", _spec(**changed))
    snapshot = index.apply("book_2", None, batches(chunks(range(50))), [])
    assert index.verify(snapshot, 50).problems() == []
    assert index.search(snapshot, text="clause 7", vector=topic_vector("lease"), k=5)


def test_defaults_have_no_shape_so_that_new_defaults_of_changeable_settings_rebuild_nothing():
    assert CollectionSettings().shape == ""
    assert CollectionSettings(ef=200).shape == ""
    assert CollectionSettings(replicas=3).shape != ""
    with pytest.raises(ValidationError, match="at most dynamic_ef_max"):
        CollectionSettings(dynamic_ef_min=900)


@pytest.mark.parametrize("tokenization", ["kagome_ja", "trigram"])
def test_japanese_is_found_with_the_corpus_tokenization(index, tokenization):
    index.create("book", _spec(tokenization=tokenization))
    texts = ["甲は、賃料を毎月末日までに支払う。", "秘密情報を第三者に開示してはならない。"]
    rows = [chunk(place, text=text, language="ja") for place, text in enumerate(texts)]
    snapshot = index.apply("book", None, batches(rows), [])
    assert index.search(snapshot, text="秘密情報の開示", mode="text")[0].chunk_id == "c000001"


def test_a_collection_is_backed_up_before_it_is_dropped_and_comes_back_whole(index, tenant):
    index.create("book__1", _spec())
    first = index.apply("book__1", None, batches(chunks(range(20))), [])
    second = index.apply("book__1", first, batches([chunk(3, text="Changed.")]), ["c000004"])
    before = {snapshot: index.row_digests(snapshot) for snapshot in (first, second)}
    index.drop("book__1")
    assert index.collections() == []
    [(backup_id, state)] = index.backups("book")
    assert state == "SUCCESS"
    for other in ("other", "boo"):
        with pytest.raises(VectorIndexError, match="no backup of"):
            index.bring_back(other, backup_id)
    assert index.bring_back("book", backup_id) == second
    assert index.latest("book__1") == second
    assert {snapshot: index.row_digests(snapshot) for snapshot in (first, second)} == before
    assert index.search(second, text="changed", vector=topic_vector("lease"), k=3)[0].chunk_id == "c000003"
