"""What a collection holds after it was changed."""

from __future__ import annotations

import time

import pytest

from resources.vector_index import (
    IndexSpec,
    InvalidRows,
    SnapshotGone,
    StaleBase,
    UnknownCollection,
    VectorIndexError,
)
from tests.resources.vector_index.corpus import DIMENSION, batches, chunk, chunks, digests


def test_upserts_and_deletions_give_exactly_the_rows_asked_for(index, filled):
    first = filled(chunks(range(50)))
    changed = chunk(3, text="Clause 3 was amended.")
    second = index.apply("handbook", first, batches([changed, chunk(60)]), ["c000007", "c000008", "not there"])
    expected = digests([*chunks([*range(3), *range(4, 7), *range(9, 50), 60]), changed])
    assert index.row_digests(second) == expected
    assert index.count(second) == len(expected)
    assert index.documents(second)["c000060"] == "d00012"


def test_an_earlier_snapshot_still_shows_the_earlier_state(index, filled):
    rows = chunks(range(20))
    first = filled(rows)
    second = index.apply("handbook", first, batches([chunk(0, text="Changed.")]), ["c000001"])
    assert index.row_digests(first) == digests(rows)
    assert index.row_digests(second) != index.row_digests(first)
    assert any(hit.chunk_id == "c000001" for hit in index.search(first, text="Clause 1", mode="text", k=20))


def test_applying_the_same_change_again_leaves_the_same_rows(index, filled):
    change = batches([chunk(1, text="Changed."), chunk(40)])
    first = index.apply("handbook", filled(chunks(range(10))), change, ["c000002"])
    again = index.apply("handbook", first, change, ["c000002"])
    assert index.row_digests(again) == index.row_digests(first)
    assert index.verify(again, index.count(first)).problems() == []


def test_a_key_that_comes_twice_is_stored_once_as_it_came_last(index, filled):
    last = chunk(5, text="The last word.")
    snapshot = filled([*chunks(range(10)), chunk(5, text="In between."), last])
    assert index.verify(snapshot, 10).problems() == []
    assert index.row_digests(snapshot)["c000005"] == last["row_digest"]


def test_a_change_computed_against_an_older_state_is_refused(index, filled):
    first = filled(chunks(range(5)))
    index.apply("handbook", first, batches([chunk(9)]), [])
    with pytest.raises(StaleBase):
        index.apply("handbook", first, batches([chunk(8)]), [])


def test_emptying_a_collection_leaves_one_that_can_be_searched(index, filled):
    snapshot = index.apply("handbook", filled(chunks(range(5))), [], [f"c{n:06d}" for n in range(5)])
    assert index.count(snapshot) == 0
    assert index.verify(snapshot, 0).problems() == []
    assert index.search(snapshot, text="Clause", vector=chunk(0)["vector"]) == []


def test_an_empty_collection_exists_and_can_be_searched(index):
    snapshot = index.create("handbook", IndexSpec(DIMENSION))
    assert index.search(snapshot, text="Clause", mode="text") == []
    assert (index.collections(), index.latest("handbook"), index.latest("other")) == (["handbook"], snapshot, None)


def test_creating_again_keeps_the_rows_and_another_spec_is_refused(index, filled):
    snapshot = filled(chunks(range(5)))
    assert index.create("handbook", IndexSpec(DIMENSION)) == snapshot
    with pytest.raises(VectorIndexError, match="new collection"):
        index.create("handbook", IndexSpec(DIMENSION + 1))


def test_a_dropped_collection_is_gone_and_its_name_is_free(index, filled):
    snapshot = filled(chunks(range(5)))
    index.drop("handbook")
    index.drop("handbook")
    assert index.collections() == []
    with pytest.raises(UnknownCollection, match="handbook"):
        index.count(snapshot)
    assert index.count(filled(chunks(range(3)))) == 3


@pytest.mark.parametrize("name", ["", "../other", "a/b", "日本", ".hidden", "x" * 129])
def test_names_that_could_leave_the_root_are_refused(index, name):
    with pytest.raises(VectorIndexError, match="a name has"):
        index.create(name, IndexSpec(DIMENSION))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"vector": [0.0] * DIMENSION}, "zero or not finite, the first of chunk c000001"),
        ({"vector": [float("nan")] * DIMENSION}, "zero or not finite"),
        ({"vector": None}, "no vector"),
        ({"chunk_id": None}, "no chunk_id"),
    ],
)
def test_rows_that_could_never_be_found_are_refused(index, filled, spoil, message):
    before = filled(chunks(range(1)))
    with pytest.raises(InvalidRows, match=message):
        index.apply("handbook", before, batches([chunk(1) | spoil]), [])
    assert index.row_digests(index.latest("handbook")) == index.row_digests(before)


def test_rows_of_another_shape_are_refused_with_what_is_wrong(index):
    index.create("handbook", IndexSpec(DIMENSION + 1))
    with pytest.raises(InvalidRows, match=f"{DIMENSION + 1} dimensions"):
        index.apply("handbook", None, batches([chunk(1)]), [])
    with pytest.raises(InvalidRows, match="lack the columns title, vector"):
        index.apply("handbook", None, [batches([chunk(1)])[0].drop_columns(["title", "vector"])], [])


def test_one_changed_document_costs_a_fraction_of_a_second(index, filled):
    """The indexes keep up without being built anew for every change."""
    snapshot = filled(chunks(range(5000)))
    seconds = []
    for turn in range(9):
        changed = [chunk(number, text=f"unheardof{turn} {number}") for number in range(turn * 5, turn * 5 + 5)]
        started = time.perf_counter()
        snapshot = index.apply("handbook", snapshot, batches(changed), [])
        found = index.search(snapshot, text=f"unheardof{turn}", mode="text")
        seconds.append(time.perf_counter() - started)
        assert {hit.chunk_id for hit in found} == {row["chunk_id"] for row in changed}
    assert sorted(seconds)[len(seconds) // 2] < 0.5


def test_reading_a_snapshot_that_never_was_says_so(index, filled):
    snapshot = filled(chunks(range(3)))
    with pytest.raises(SnapshotGone, match="handbook"):
        index.count(type(snapshot)("handbook", 999))
