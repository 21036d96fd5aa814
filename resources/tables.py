"""Lance tables for the large columns: every write is one transaction, every reader sees a whole version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.db import DBConnection
    from lancedb.table import Table as LanceTable

    from resources.state import State

READ_ROWS = 1024
IN_LIST = 500  # values in one `IN (…)`: long lists are slow to plan
TIDY_FRAGMENTS = 64  # small files pile up, one per transaction; above this they are merged


class Tables:
    """The tables of one tenant or corpus: a folder (or bucket prefix) of Lance tables.

    Args:
        root: folder or bucket URL that holds the tables.
        state: whose locks serialise the writers of a table: two merges of the same new keys at once would
            leave duplicates.
    """

    def __init__(self, root: str, state: State) -> None:
        self.root = root
        self._state = state

    @cached_property
    def _connection(self) -> DBConnection:
        import lancedb

        return lancedb.connect(self.root)

    def names(self) -> list[str]:
        """The names of the tables that exist."""
        if "://" not in self.root and not Path(self.root).is_dir():
            return []
        return list(self._connection.list_tables(limit=100_000).tables)

    def table(self, name: str, schema: Callable[[], pa.Schema], key: str) -> Table:
        """Open the table `name`; it is made on its first write.

        Args:
            name: the table.
            schema: gives its schema; called only where the table must be made.
            key: the column that identifies a row.
        """
        return Table(self, name, schema, key)

    def existing(self, name: str) -> Table:
        """A table to read, delete from or purge, whatever its schema."""

        def unknown() -> pa.Schema:
            raise LookupError(f"table '{name}' of {self.root} was not made yet")

        return Table(self, name, unknown, "")

    def drop(self, name: str) -> None:
        """Remove a table and its files."""
        if name in self.names():
            self._connection.drop_table(name)

    def open(self, name: str) -> LanceTable | None:
        """The Lance table, or None where it was never written."""
        try:
            return self._connection.open_table(name)
        except ValueError:
            return None

    def create(self, name: str, schema: pa.Schema) -> LanceTable:
        """Make the table if it is not there."""
        return self._connection.create_table(name, schema=schema, exist_ok=True)

    def lock(self, name: str) -> Any:
        """The lock of the writers of table `name`."""
        # Without what lies above: hosts that share the state database may mount the folder elsewhere.
        return self._state.lock("/".join(["table", *Path(self.root).parts[-3:], name]))


class Table:
    """One Lance table with a key; missing until it is first written, and read as empty until then."""

    def __init__(self, tables: Tables, name: str, schema: Callable[[], pa.Schema], key: str) -> None:
        self._tables = tables
        self.name = name
        self._schema = schema
        self._key = key

    @property
    def _lance(self) -> LanceTable | None:
        return self._tables.open(self.name)

    def replace(self, owner: str, owners: Sequence[str], rows: Iterable[dict[str, Any]]) -> int:
        """Make `rows` all that the table holds of `owners`, in one transaction.

        Args:
            owner: the column that says whom a row belongs to.
            owners: the owners whose rows are replaced; those without new rows are left with none.
            rows: the new rows, keys unique.

        Returns:
            The number of rows written.
        """
        import pyarrow as pa

        batch = pa.Table.from_pylist(list(rows), schema=self._schema())
        if not owners:
            return 0
        with self._tables.lock(self.name):
            lance = self._tables.create(self.name, self._schema())
            if batch.num_rows == 0:
                lance.delete(_in(owner, owners))
            else:
                merge = lance.merge_insert(self._key).when_matched_update_all().when_not_matched_insert_all()
                merge.when_not_matched_by_source_delete(_in(owner, owners)).execute(batch)
        return batch.num_rows

    def insert_missing(self, batch: pa.Table) -> int:
        """Insert the rows whose key is not there yet; the keys of `batch` are unique. Returns how many."""
        with self._tables.lock(self.name):
            lance = self._tables.create(self.name, self._schema())
            result = lance.merge_insert(self._key).when_not_matched_insert_all().execute(batch)
        return int(result.num_inserted_rows)

    def delete(self, column: str, values: Sequence[str]) -> None:
        """Delete every row whose `column` is one of `values`."""
        if not values or self._lance is None:
            return
        with self._tables.lock(self.name):
            lance = self._lance
            for part in _parts(values):
                if lance is not None:
                    lance.delete(_in(column, part))

    def scan(self, columns: Sequence[str], where: str | None = None) -> Iterator[pa.RecordBatch]:
        """All rows, as record batches of at most `READ_ROWS` rows."""
        lance = self._lance
        if lance is None:
            return
        query = lance.search().select(list(columns)).limit(None)
        yield from (query.where(where) if where else query).to_batches(READ_ROWS)

    def column(self, name: str) -> list[Any]:
        """One whole column."""
        return [value for batch in self.scan([name]) for value in batch.column(name).to_pylist()]

    def get(self, column: str, values: Sequence[str], columns: Sequence[str]) -> pa.Table:
        """The rows whose `column` is one of `values`; their order is not defined."""
        import pyarrow as pa

        batches = [batch for part in _parts(values) for batch in self.scan(columns, _in(column, part))]
        if batches:
            return pa.Table.from_batches(batches)
        return pa.schema([self._schema().field(name) for name in columns]).empty_table()

    def count(self, where: str | None = None) -> int:
        """The number of rows."""
        lance = self._lance
        return 0 if lance is None else int(lance.count_rows(where))

    def tidy(self) -> None:
        """Merge small files and drop old versions, if there are enough of them to matter."""
        lance = self._lance
        if lance is not None and _fragments(lance) > TIDY_FRAGMENTS:
            with self._tables.lock(self.name):
                lance.optimize(cleanup_older_than=timedelta(hours=1))

    def purge(self) -> None:
        """Write the rows into new files and drop all others: what was deleted is then gone from the disk.

        A deletion only marks rows, and merging files leaves lightly marked ones as they are.
        """
        if self._lance is None:
            return
        with self._tables.lock(self.name):
            lance, source = self._lance, self._lance
            if lance is not None and source is not None:
                lance.add(_reader(source), mode="overwrite")
                lance.optimize(cleanup_older_than=timedelta(milliseconds=1), delete_unverified=True)


def _reader(source: LanceTable) -> pa.RecordBatchReader:
    """All rows, in pieces. They come from a handle of their own: the one that is written moves on."""
    import pyarrow as pa

    batches = source.search().limit(None).to_batches(READ_ROWS)
    return pa.RecordBatchReader.from_batches(source.schema, (batch.cast(source.schema) for batch in batches))


def _fragments(lance: LanceTable) -> int:
    stats: Any = lance.stats()  # a mapping at run time, whatever its declared type says
    return int(stats["fragment_stats"]["num_fragments"])


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), IN_LIST):
        yield values[start : start + IN_LIST]


def _in(column: str, values: Sequence[str]) -> str:
    quoted = ",".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} IN ({quoted})"
