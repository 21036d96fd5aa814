"""A writer on the server that is killed while readers go on: a half-written state that is shown, or never healed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

from resources.vector_index import IndexSpec
from resources.vector_index.weaviate import WeaviateIndex, connection_of
from resources.vector_index.weaviate_connection import WeaviateConnection
from resources.vector_index.weaviate_settings import ServerSettings
from resources.weaviate_server import Address
from tests.resources.vector_index.corpus import DIMENSION, batches, chunks, digests, topic_vector

COUNT = 300
SPEC = IndexSpec(DIMENSION)
SETTINGS = ServerSettings(batch_size=20)
ROUNDS, CAMPAIGN = 3, 12


def write(tenant: str) -> None:
    """What the killed process does: every row anew, and telling when it begins."""
    index = WeaviateIndex(connection_of(SETTINGS, Path(), tenant), tenant=tenant, settings=SETTINGS)
    index.create("handbook", SPEC)
    print("created", flush=True)
    index.apply("handbook", None, batches(chunks(range(50, COUNT + 50), title="new"), 20), ["c000001", "c000002"])


def _started(address: Address, tenant: str) -> subprocess.Popen[str]:
    where = {"WEAVIATE_URL": address.url, "WEAVIATE_GRPC_PORT": str(address.grpc_port)}
    return subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import write; write({tenant!r})"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env=os.environ | where | ({"WEAVIATE_API_KEY": address.key} if address.key else {}),
    )


@pytest.mark.parametrize(
    "seed", [*range(ROUNDS), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(ROUNDS, CAMPAIGN))]
)
def test_readers_see_the_served_state_whole_and_the_next_writer_reaches_the_same_end(weaviate_server, seed):
    address, tenant = weaviate_server, f"k{uuid4().hex[:12]}"
    connection = WeaviateConnection(address.url, address.grpc_port, api_key=address.key)
    index = WeaviateIndex(connection, tenant=tenant, settings=SETTINGS)
    index.create("handbook", SPEC)
    old = chunks(range(COUNT), title="old")
    served = index.apply("handbook", None, batches(old), [])

    writer = _started(address, tenant)
    assert writer.stdout
    writer.stdout.readline()
    deadline, searches = time.monotonic() + random.Random(seed).uniform(0.0, 1.2), 0
    while time.monotonic() < deadline and writer.poll() is None:
        hits = index.search(served, text="clause", vector=topic_vector("lease"), k=COUNT)
        assert (len(hits), {hit.title for hit in hits}) == (COUNT, {"old"})
        searches += 1
    writer.kill()
    writer.wait()
    writer.stdout.close()
    assert searches
    assert index.row_digests(served) == digests(old)

    want = [*chunks([0, *range(3, 50)], title="old"), *chunks(range(50, COUNT + 50), title="new")]
    base = index.create("handbook", SPEC)
    have, wanted = index.row_digests(base), digests(want)
    changed = [row for row in want if have.get(row["chunk_id"]) != row["row_digest"]]
    after = index.apply("handbook", base, batches(changed), [key for key in have if key not in wanted])
    assert index.row_digests(after) == wanted
    assert index.verify(after, len(want)).problems() == []
    assert index.row_digests(served) == digests(old)
    index.drop("handbook")
