"""Keeping a collection on the server whole, small and clean."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from resources.vector_index.checks import numbered
from resources.vector_index.protocol import Snapshot, Verification
from resources.vector_index.weaviate_handle import GRACE, gone
from resources.vector_index.weaviate_reading import by_vector, count, nearest, scan
from resources.vector_index.weaviate_schema import PARTS
from resources.vector_index.weaviate_states import (
    States,
    View,
    beginning,
    row_id,
    write_states,
)
from resources.vector_index.weaviate_writing import LOOKED_UP, end, insert, patch, present, wait_until_indexed

if TYPE_CHECKING:
    from weaviate.classes.data import DataObject
    from weaviate.collections import Collection

    from resources.vector_index.weaviate_handle import Handle

WORTHWHILE = 32  # removable states before tidying pays
DEAD_ROWS, DEAD_SHARE = 500, 0.2  # or so many rows, and such a share, that only removable states show
RECALL_AT = 10
COPIED = 200  # rows of one batch of a copy
_EXACT_DEPTH = 2 * RECALL_AT
_SEED = 7  # a verification repeats exactly


def heal(handle: Handle, states: States) -> None:
    """Finish what a killed writer began: of two rows of a chunk in the newest state the older one ends."""
    if not states.writing:
        return
    rows: dict[str, list[int]] = defaultdict(list)
    for item in scan(handle, states.view(states.latest), ["chunk_id"]):
        rows[item.properties["chunk_id"]].append(item.properties["valid_from"])
    for chunk_id, since in rows.items():
        for older, newer in zip(sorted(since), sorted(since)[1:], strict=False):
            end(handle, [(chunk_id, "", older)], newer)
    write_states(handle, replace(states, writing=False, soiled=True))


def verification(handle: Handle, view: View, states: States, expected: int, sample: int) -> Verification:
    """Count the rows, look for duplicates, search for sampled stored vectors as users do and exactly."""
    import numpy as np

    wait_until_indexed(handle)
    ids = [(item.properties["chunk_id"], item.uuid) for item in scan(handle, view, ["chunk_id"])]
    ids.sort()
    duplicates = len(ids) - len({chunk_id for chunk_id, _ in ids})
    picks = np.random.default_rng(_SEED).permutation(len(ids))[:sample]
    vectors = [vector for _, vector in _fetched(handle, [ids[int(pick)][1] for pick in picks])]
    groups = _groups(len(ids), handle.owned.spec.exact_below)
    overlaps = [_overlap(handle, view, states, vector, groups) for vector in vectors]
    recall = sum(overlaps) / len(overlaps) if overlaps else 1.0
    return Verification(len(ids), expected, duplicates, recall, len(picks))


def _groups(rows: int, exact_below: int) -> list[list[int]]:
    """Parts of the rows, each so small that the server compares with every row of it instead of using its graph."""
    wanted = min(PARTS, max(1, -(-2 * rows // max(1, exact_below))))
    return [list(range(first, PARTS, wanted)) for first in range(wanted)]


def _overlap(handle: Handle, view: View, states: States, vector: Any, groups: list[list[int]]) -> float:
    """Share of the exact nearest that a search finds; ties at the edge count as found."""
    from weaviate.classes.query import Filter

    exact: list[float] = []
    for group in groups:
        own = view.filter() & Filter.by_property("part").contains_any(group)
        exact += [distance for _, distance in nearest(handle, vector, own, _EXACT_DEPTH, ["chunk_id"])]
    exact = sorted(exact)[:RECALL_AT]
    found = [1.0 - row["_score"] for row in by_vector(handle, view, states, vector, [], RECALL_AT).values()]
    edge = exact[-1] + 1e-5
    return min(1.0, sum(distance <= edge for distance in found[: len(exact)]) / len(exact))


def _fetched(handle: Handle, ids: Sequence[UUID]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Rows with all columns and their vectors."""
    name = handle.settings.vector_name
    for start in range(0, len(ids), COPIED):

        def run(rows: Collection, part: Sequence[UUID] = ids[start : start + COPIED]) -> Any:
            return rows.query.fetch_objects_by_ids(part, limit=len(part), include_vector=True).objects

        for item in handle.run("read", run):
            yield dict(item.properties), item.vector[name]


def restored(handle: Handle, states: States, number: int) -> States:
    """Make an older state the newest again: what differs is copied or ended. Returns the states after it."""
    new = states.latest + 1
    wanted, present = _rows(handle, states.view(number)), _rows(handle, states.view(states.latest))
    states = replace(states, latest=new, writing=True, soiled=True)
    write_states(handle, states)
    insert(handle, _batches(_begun(handle, wanted - present, new)))
    ended = end(handle, [(key, "", since) for key, since in present - wanted], new)
    states = replace(states, writing=False, ended=states.ended + ended)
    write_states(handle, states)
    return states


def _rows(handle: Handle, view: View) -> set[tuple[str, int]]:
    found = (item.properties for item in scan(handle, view, ["chunk_id"]))
    return {(row["chunk_id"], row["valid_from"]) for row in found}


def _begun(handle: Handle, rows: AnyOf[tuple[str, int]], number: int) -> Iterator[DataObject[Any, Any]]:
    from weaviate.classes.data import DataObject

    ids = [row_id(handle.name, key, since) for key, since in sorted(rows)]
    for row, vector in _fetched(handle, ids):
        properties = present(row) | beginning(number)
        key = row_id(handle.name, row["chunk_id"], number)
        yield DataObject(properties=properties, uuid=key, vector={handle.settings.vector_name: vector})


def _batches(objects: Iterable[DataObject[Any, Any]]) -> Iterator[list[DataObject[Any, Any]]]:
    rest = iter(objects)
    while batch := list(islice(rest, COPIED)):
        yield batch


def forgotten(
    handle: Handle, states: States, ids: AnyOf[str], kept: Sequence[Snapshot]
) -> tuple[States, dict[Snapshot, Snapshot]]:
    """Give the kept states and the newest new numbers, from which on the rows `ids` are hidden."""
    for snapshot in kept:
        if not states.holds(numbered(snapshot)):
            raise gone(snapshot)
    first, old = states.latest + 1, sorted({*map(numbered, kept), states.latest} | states.named)
    new = {number: first + place for place, number in enumerate(old)}
    _hide(handle, ids, first)
    reads = {new[number]: states.view(number).base for number in old}
    latest, served_now = new[old[-1]], new.get(states.served, states.served)
    states = replace(states, latest=latest, served=served_now, reads={**states.reads, **reads}, soiled=True)
    write_states(handle, states)
    return states, {Snapshot(handle.name, number): Snapshot(handle.name, after) for number, after in new.items()}


def _hide(handle: Handle, ids: AnyOf[str], number: int) -> None:
    from weaviate.classes.query import Filter

    rest = iter(sorted(ids))
    while part := list(islice(rest, LOOKED_UP)):
        wanted = Filter.by_property("chunk_id").contains_any(part)
        shown = wanted & Filter.by_property("hidden_from").greater_than(number)

        def run(rows: Collection, shown: Any = shown) -> Any:
            return rows.query.fetch_objects(filters=shown, limit=10_000, return_properties=["chunk_id"]).objects

        while found := handle.run("read", run):
            patch(handle, [item.uuid for item in found], {"hidden_from": number})


def tidied(handle: Handle, states: States, kept: Sequence[Snapshot], *, purge: bool) -> States:
    """Remove the states older than the oldest kept, and the rows that only they showed.

    First the states are taken off the list, then readers that still have one open get `GRACE` seconds.
    """
    numbers = {*map(numbered, kept), states.latest} | states.named
    for snapshot in kept:
        if not states.holds(numbered(snapshot)):
            raise gone(snapshot)
    oldest = min(numbers)
    if not purge and not _worthwhile(handle, states, oldest):
        return states
    reads = {number: base for number, base in states.reads.items() if number >= oldest}
    states = replace(states, oldest=oldest, reads=reads)
    write_states(handle, states)
    time.sleep(GRACE)
    removed = _remove(handle, states.view(oldest))
    if removed:
        states = replace(states, ended=max(0, states.ended - removed), soiled=True)
        write_states(handle, states)
    return states


def _worthwhile(handle: Handle, states: States, oldest: int) -> bool:
    if oldest - states.oldest >= WORTHWHILE:
        return True
    if oldest == states.oldest or states.ended < DEAD_ROWS:
        return False
    return states.ended > DEAD_SHARE * count(handle, states.view(states.latest))


def _remove(handle: Handle, oldest: View) -> int:
    """Delete the rows that no state from `oldest` on shows; the states object is valid in none and stays."""
    from weaviate.classes.query import Filter

    ended = Filter.by_property("valid_to").less_or_equal(oldest.base)
    hidden = Filter.by_property("hidden_from").less_or_equal(oldest.number)
    unwanted, removed = Filter.by_property("valid_from").greater_than(0) & (ended | hidden), 0
    while True:
        done = handle.run("clean", lambda rows: rows.data.delete_many(where=unwanted))
        removed += done.successful
        if not done.matches or not done.successful:
            return removed


def copied(source: Handle, target: Handle, states: States) -> None:
    """Write a collection anew, in files that hold nothing of what was removed; its states come last."""
    from weaviate.classes.data import DataObject

    name = source.settings.vector_name

    def rows() -> Iterator[DataObject[Any, Any]]:
        columns = _all_columns(source)
        for item in scan(source, None, columns, vectors=True):
            yield DataObject(properties=present(item.properties), uuid=item.uuid, vector={name: item.vector[name]})

    insert(target, _batches(rows()))
    wait_until_indexed(target)
    write_states(target, replace(states, soiled=False))


def _all_columns(handle: Handle) -> list[str]:
    config = handle.run("look at", lambda rows: rows.config.get(simple=True))
    return [each.name for each in config.properties if each.name != "state"]
