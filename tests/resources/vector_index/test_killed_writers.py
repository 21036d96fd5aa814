"""A writer that is killed in the middle leaves a state from which the next one reaches the same end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resources.vector_index import IndexSpec, Snapshot, VectorIndex
from resources.vector_index.lancedb import LanceIndex
from tests.resources.vector_index.corpus import DIMENSION, batches, chunk, chunks, digests, topic_vector

SPEC = IndexSpec(DIMENSION, exact_below=600)  # the graph is built too, so a kill can fall into that
ROWS = chunks(range(1200))
ROUNDS, CAMPAIGN = 3, 25


def write(folder: str) -> None:
    """What the killed process does: everything in transactions of 100 rows, telling what it has sent."""
    from resources.vector_index import rows

    rows.BATCH_ROWS = 100
    index = LanceIndex(folder)
    index.create("handbook", SPEC)

    def sent():
        for batch in batches(ROWS, 100):
            print("batch", flush=True)
            yield batch

    print("created", flush=True)
    index.apply("handbook", None, sent(), ["c009999"])
    print("done", flush=True)


def _killed_writer(folder: Path, lines: int, pause: float) -> None:
    """Start a writer and kill it `pause` seconds after its `lines`-th line."""
    command = [sys.executable, "-c", f"from {__name__} import write; write({str(folder)!r})"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert process.stdout
    for _ in range(lines):
        assert process.stdout.readline()
    deadline = time.monotonic() + pause
    while time.monotonic() < deadline and process.poll() is None:
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def _converge(index: VectorIndex) -> Snapshot:
    """What the caller does at every run: compute the difference to the latest state, apply it."""
    base = index.create("handbook", SPEC)
    have, want = index.row_digests(base), digests(ROWS)
    changed = [row for row in ROWS if have.get(row["chunk_id"]) != row["row_digest"]]
    return index.apply("handbook", base, batches(changed), [key for key in have if key not in want])


@pytest.mark.parametrize(
    "seed", [*range(ROUNDS), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(ROUNDS, CAMPAIGN))]
)
def test_after_a_kill_the_next_writer_reaches_the_same_state(tmp_path, seed):
    source = random.Random(seed)
    _killed_writer(tmp_path / "index", source.randint(1, 13), source.uniform(0, 0.15))
    index = LanceIndex(tmp_path / "index")
    snapshot = _converge(index)
    assert index.row_digests(snapshot) == digests(ROWS)
    assert index.verify(snapshot, len(ROWS)).problems() == []
    assert index.search(snapshot, text="Clause 1199 about", mode="text", k=1)[0].chunk_id == "c001199"


def test_what_was_served_before_the_kill_is_served_after_it(tmp_path):
    index = LanceIndex(tmp_path / "index")
    index.create("handbook", SPEC)
    old = chunks(range(200), title="Old edition")
    served = index.apply("handbook", None, batches(old), ["c000007"])
    _killed_writer(tmp_path / "index", 6, 0.0)
    assert index.row_digests(served) == digests(row for row in old if row["chunk_id"] != "c000007")
    hits = index.search(served, text="Clause", vector=topic_vector("lease"), k=50)
    assert {hit.title for hit in hits} == {"Old edition"}
    assert index.count(index.apply("handbook", None, batches([chunk(7)]), [])) >= 200
