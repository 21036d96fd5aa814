"""A server that cuts words with gse, and one that indexes in the background: what is served must still be whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.vector_index import IndexSpec
from resources.vector_index.weaviate import WeaviateIndex
from resources.vector_index.weaviate_connection import WeaviateConnection
from resources.vector_index.weaviate_settings import CollectionSettings
from resources.weaviate_server import ServerOptions, WeaviateServer
from tests.resources.vector_index.corpus import DIMENSION, batches, chunk, chunks, topic_vector

pytestmark = pytest.mark.long  # a server of its own, which loads a dictionary


@pytest.fixture(scope="module")
def index(weaviate_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeaviateIndex]:
    options = ServerOptions(gse=True, asynchronous=True)
    with WeaviateServer(weaviate_program, tmp_path_factory.mktemp("options"), options) as server:
        at = server.address
        index = WeaviateIndex(WeaviateConnection(at.url, at.grpc_port, api_key=at.key), tenant="options")
        yield index
        index.close()


def test_japanese_is_found_with_gse(index):
    index.create("book", IndexSpec(DIMENSION, shape=CollectionSettings(tokenization="gse").shape))
    texts = ["甲は、賃料を毎月末日までに支払う。", "秘密情報を第三者に開示してはならない。"]
    rows = [chunk(place, text=text, language="ja") for place, text in enumerate(texts)]
    snapshot = index.apply("book", None, batches(rows), [])
    assert index.search(snapshot, text="秘密情報の開示", mode="text")[0].chunk_id == "c000001"


def test_what_is_indexed_in_the_background_is_waited_for_before_it_is_verified(index):
    index.create("many", IndexSpec(DIMENSION))
    snapshot = index.apply("many", None, batches(chunks(range(3000))), [])
    assert index.verify(snapshot, 3000).problems() == []
    assert len(index.search(snapshot, vector=topic_vector("lease"), mode="vector", k=10)) == 10
