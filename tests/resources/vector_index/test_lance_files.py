"""What the LanceDB backend leaves on the disk."""

from __future__ import annotations

from pathlib import Path

import lancedb

from resources.vector_index import IndexSpec
from resources.vector_index.lance_writing import TEXT_INDEX
from resources.vector_index.lancedb import LanceIndex
from tests.resources.vector_index.corpus import DIMENSION, batches, chunk, chunks

SECRET = "zebrafinch"


def _files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_forgotten_content_leaves_the_disk_even_where_it_was_deleted_long_before(tmp_path):
    index = LanceIndex(tmp_path / "index")
    index.create("handbook", IndexSpec(DIMENSION))
    first = index.apply(
        "handbook", None, batches([*chunks(range(300)), chunk(900, text=f"The {SECRET} clause.")]), []
    )
    second = index.apply("handbook", first, batches([chunk(901)]), ["c000900"])
    assert _files_with(tmp_path, SECRET), "a deletion alone leaves the bytes: else this test shows nothing"
    replaced = index.forget("handbook", ["c000900"], [second])
    index.tidy("handbook", list(replaced.values()), purge=True)
    assert _files_with(tmp_path, SECRET) == []
    assert index.count(replaced[second]) == 301


def test_many_small_changes_do_not_pile_up_files(tmp_path):
    index = LanceIndex(tmp_path / "index")
    index.create("handbook", IndexSpec(DIMENSION))
    snapshot = index.apply("handbook", None, batches(chunks(range(50))), [])
    for turn in range(70):
        snapshot = index.apply("handbook", snapshot, batches([chunk(turn % 50, text=f"turn {turn}")]), [])
        snapshot = index.tidy("handbook", [snapshot])
    assert len(list((tmp_path / "index").rglob("*.lance/data/*.lance"))) < 70
    assert index.verify(snapshot, 50).problems() == []


def test_a_bucket_url_is_a_root_too(tmp_path):
    index = LanceIndex(f"file://{tmp_path}/index")
    index.create("handbook", IndexSpec(DIMENSION))
    snapshot = index.apply("handbook", None, batches(chunks(range(5))), [])
    assert LanceIndex(tmp_path / "index").count(snapshot) == 5


def test_search_indexes_that_a_killed_writer_never_built_are_built_by_the_next_one(tmp_path):
    index = LanceIndex(tmp_path / "index")
    index.create("handbook", IndexSpec(DIMENSION))
    snapshot = index.apply("handbook", None, batches(chunks(range(5))), [])
    table = lancedb.connect(tmp_path / "index").open_table("handbook")
    table.drop_index(TEXT_INDEX)
    repaired = index.create("handbook", IndexSpec(DIMENSION))
    assert repaired != snapshot
    assert len(index.search(repaired, text="Clause", mode="text")) == 5
