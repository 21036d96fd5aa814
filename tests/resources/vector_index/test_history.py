"""Going back, forgetting, and keeping a collection small."""

from __future__ import annotations

import pytest

from resources.vector_index import SnapshotGone
from tests.resources.vector_index.corpus import batches, chunk, chunks, digests

SECRET = "zebrafinch"


def test_restoring_makes_an_older_state_the_latest(index, filled):
    rows = chunks(range(10))
    first = filled(rows)
    index.apply("handbook", first, batches([chunk(0, text="Changed.")]), ["c000009"])
    restored = index.restore(first)
    assert index.latest("handbook") == restored
    assert index.row_digests(restored) == digests(rows)
    after = index.apply("handbook", restored, [], ["c000005"])
    assert index.count(after) == 9
    assert index.search(after, text="Clause 5 about", mode="text", k=20)


def test_restoring_the_latest_changes_nothing(index, filled):
    snapshot = filled(chunks(range(3)))
    assert index.restore(snapshot) == snapshot


def test_tidying_keeps_the_kept_states_and_removes_older_ones(index, filled):
    history = [filled(chunks(range(30)))]
    for turn in range(40):
        history.append(index.apply("handbook", history[-1], batches([chunk(turn % 30, text=f"turn {turn}")]), []))
    kept = [history[-1], history[-3]]
    before = {snapshot: index.row_digests(snapshot) for snapshot in kept}
    newest = index.tidy("handbook", kept)
    assert index.row_digests(newest) == before[history[-1]]
    assert {snapshot: index.row_digests(snapshot) for snapshot in kept} == before
    assert index.search(kept[1], text="turn", mode="text", k=30)
    with pytest.raises(SnapshotGone):
        index.search(history[5], text="turn", mode="text")
    again = index.apply("handbook", newest, batches([chunk(99)]), [])
    assert index.count(again) == 31


def test_tidying_with_little_to_gain_changes_nothing(index, filled):
    first = filled(chunks(range(5)))
    second = index.apply("handbook", first, batches([chunk(7)]), [])
    assert index.tidy("handbook", [second]) == second
    assert index.count(first) == 5


def test_tidying_refuses_to_keep_what_is_not_there(index, filled):
    snapshot = filled(chunks(range(5)))
    with pytest.raises(SnapshotGone):
        index.tidy("handbook", [type(snapshot)("handbook", 999)])


def test_forgetting_takes_rows_out_of_every_kept_state(index, filled):
    first = filled([*chunks(range(10)), chunk(50, text=f"The {SECRET} clause.")])
    second = index.apply("handbook", first, batches([chunk(60)]), [])
    replaced = index.forget("handbook", ["c000050"], [first, second])
    assert set(replaced) == {first, second}
    assert index.row_digests(replaced[first]) == digests(chunks(range(10)))
    assert index.row_digests(replaced[second]) == digests(chunks([*range(10), 60]))
    assert index.latest("handbook") == replaced[second]
    assert index.search(first, text=SECRET, mode="text"), "the served state stays readable until pointers have moved"

    index.tidy("handbook", list(replaced.values()), purge=True)
    for snapshot in replaced.values():
        assert index.search(snapshot, text=SECRET, mode="text") == []
        assert index.search(snapshot, text="clause", mode="text", k=3)
    with pytest.raises(SnapshotGone):
        index.search(first, text=SECRET, mode="text")


def test_forgetting_can_be_repeated_after_it_was_cut_off(index, filled):
    first = filled([*chunks(range(10)), chunk(50, text=SECRET)])
    index.forget("handbook", ["c000050"], [first])  # the caller died before it moved its pointers
    replaced = index.forget("handbook", ["c000050"], [first])
    index.tidy("handbook", list(replaced.values()), purge=True)
    assert index.row_digests(replaced[first]) == digests(chunks(range(10)))
