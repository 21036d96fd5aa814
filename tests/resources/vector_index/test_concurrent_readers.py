"""Readers of the served pointer see whole states, whatever a writer in another process does meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from resources.vector_index import IndexSpec, Snapshot, SnapshotGone
from resources.vector_index.lancedb import LanceIndex
from tests.resources.vector_index.corpus import DIMENSION, batches, chunks, topic_vector

ROWS, EDITIONS, READERS = 120, 25, 3


def write(folder: str) -> None:
    """Replace all rows again and again, 40 rows a transaction, and move the pointer after each edition."""
    from resources.vector_index import rows

    rows.BATCH_ROWS = 40
    index, kept = LanceIndex(Path(folder) / "index"), []
    index.create("handbook", IndexSpec(DIMENSION))
    for edition in range(EDITIONS):
        kept = [
            *kept[-1:],
            index.apply("handbook", None, batches(chunks(range(ROWS), title=f"edition {edition}")), []),
        ]
        pointer = Path(folder) / "pointer.new"
        pointer.write_text(f"{edition} {kept[-1].version}")
        pointer.replace(Path(folder) / "pointer")
        index.tidy("handbook", kept)


def _read(folder: Path, writer: subprocess.Popen[bytes]) -> tuple[int, set[int]]:
    """Search the served state until the writer has ended. Returns searches done and editions seen."""
    index, searches, seen = LanceIndex(folder / "index"), 0, set()
    while writer.poll() is None or not searches:
        if not (folder / "pointer").exists():
            os.sched_yield()
            continue
        edition, version = map(int, (folder / "pointer").read_text().split())
        try:
            hits = index.search(Snapshot("handbook", version), text="clause", vector=topic_vector("lease"), k=ROWS)
        except SnapshotGone:
            continue  # the pointer moved twice and the state was tidied away in between
        assert len(hits) == ROWS
        assert {hit.title for hit in hits} == {f"edition {edition}"}
        searches, seen = searches + 1, seen | {edition}
    return searches, seen


def test_every_answer_comes_from_one_whole_state(tmp_path):
    command = [sys.executable, "-c", f"from {__name__} import write; write({str(tmp_path)!r})"]
    writer = subprocess.Popen(command, cwd=Path(__file__).parents[3])
    with ThreadPoolExecutor(READERS) as readers:
        results = list(readers.map(lambda _: _read(tmp_path, writer), range(READERS)))
    assert writer.wait() == 0
    assert all(searches > 0 for searches, _ in results)
    assert len(set.union(*(seen for _, seen in results))) > 1, "the readers must have met several states"
