"""Keeping a Lance collection small: merged files, no states that nobody keeps, nothing forgotten left."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from resources.vector_index.errors import SnapshotGone, VectorIndexError
from resources.vector_index.rows import BATCH_ROWS

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.table import Table

WORTHWHILE = 32  # small files or removable states before tidying pays
_TAG = "kept-"
_ATTEMPTS = 10


def rewrite(table: Table, source: Table, without: Collection[str]) -> None:
    """Make the rows of `source`, a state of the same table, the latest state: in new files, without some ids.

    A deletion only marks rows, and merging files leaves lightly marked ones as they are: only new files are clean.
    """
    import pyarrow as pa

    rows = pa.RecordBatchReader.from_batches(source.schema, _without(source, without))
    table.add(rows, mode="overwrite")


def _without(source: Table, ids: Collection[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.compute as pc

    stays = ~pc.field("chunk_id").isin(pa.array(sorted(ids), pa.string()))  # typed: there may be none
    for batch in source.search().limit(None).to_batches(BATCH_ROWS):
        yield batch.filter(stays).cast(source.schema)


def prune(table: Table, kept: Collection[int], *, purge: bool) -> None:
    """Merge files and remove every state older than the oldest of `kept`.

    Lance removes by age, not by name, and its clock runs on while it merges files. So the kept states are tagged:
    Lance refuses to remove those, and where the age was too close it is worked out again.

    Raises:
        SnapshotGone: a state to keep is not there.
        VectorIndexError: with `purge`, older states are still there.
    """
    made = {int(state["version"]): state["timestamp"] for state in table.list_versions()}
    missing = sorted(set(kept) - made.keys())
    if missing:
        raise SnapshotGone(f"{table.name}: version {missing[0]} is to be kept but is not there")
    oldest = min(kept)
    older = [version for version in made if version < oldest]
    if not purge and len(older) < WORTHWHILE and _small_files(table) < WORTHWHILE:
        return
    _tag(table, kept)
    cutoff = made[oldest] if not older else made[max(older)] + (made[oldest] - made[max(older)]) / 2
    done = _removed(table, cutoff, purge)
    if purge and not done:
        raise VectorIndexError(f"{table.name}: could not remove the states before version {oldest}; run it again")


def _removed(table: Table, cutoff: datetime, purge: bool) -> bool:
    for _ in range(_ATTEMPTS):
        age = max(datetime.now() - cutoff, timedelta(milliseconds=1))  # Lance gives local times without a zone
        try:
            table.optimize(cleanup_older_than=age, delete_unverified=purge)
        except RuntimeError as error:
            if "tagged version" not in str(error):
                raise
        else:
            return True
    return False


def _small_files(table: Table) -> int:
    return int(cast("dict[str, Any]", table.stats())["fragment_stats"]["num_small_fragments"])


def _tag(table: Table, kept: Collection[int]) -> None:
    """Tag exactly the kept states."""
    wanted = {f"{_TAG}{version}": version for version in kept}
    present = table.tags.list()
    for name in present:
        if name.startswith(_TAG) and name not in wanted:
            table.tags.delete(name)
    for name, version in wanted.items():
        if name not in present:
            table.tags.create(name, version)
