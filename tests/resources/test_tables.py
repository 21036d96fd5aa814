"""Lance tables: a killed or a second writer must never leave duplicates, mixtures, or text that was deleted."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
import uuid
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from resources.platform import Platform
from resources.profile import Profile

if TYPE_CHECKING:
    import pyarrow as pa

    from resources.tables import Table

SPAWN = multiprocessing.get_context("spawn")
ROWS = 300
AWKWARD = ["it's", 'say "hi"', "back\\slash", "契約書", "100%_", "a -- b", "'; DROP TABLE x", "", "\n\t", "\x00", "🗂"]


def schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([("id", pa.string()), ("owner", pa.string()), ("text", pa.string())])


def table_of(state_dir: Path) -> Table:
    return Platform(Profile(state_dir=state_dir)).tables("acme", "handbook").table("rows", schema, "id")


def rows_of(owner: str, text: str, count: int = ROWS) -> list[dict[str, Any]]:
    return [{"id": f"{owner}-{number}", "owner": owner, "text": text} for number in range(count)]


def insert_many(state_dir: Path, ready: Any) -> None:
    """Insert the same keys as the other process, batch by batch, from the same moment on."""
    import pyarrow as pa

    table = table_of(state_dir)
    ready.wait()
    for owner in ("a", "b", "c"):
        table.insert_missing(pa.Table.from_pylist(rows_of(owner, str(os.getpid())), schema=schema()))


def replace_for_ever(state_dir: Path, started: Any) -> None:
    table = table_of(state_dir)
    for number in range(1_000_000):
        table.replace("owner", ["a"], rows_of("a", f"{os.getpid()} {number}"))
        started.set()


def run_until(process: BaseProcess, event: Any) -> None:
    process.start()
    assert event.wait(60), "the process never got to its first write"


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def table(state_dir: Path) -> Table:
    return table_of(state_dir)


def test_a_table_that_was_never_written_reads_as_empty(table: Table) -> None:
    assert table.count() == 0
    assert table.column("id") == []
    assert table.get("id", ["x"], ["id", "text"]).num_rows == 0
    table.delete("id", ["x"])
    table.tidy()
    table.purge()
    assert table.count() == 0


def test_replace_makes_the_new_rows_all_that_an_owner_has(table: Table) -> None:
    table.replace("owner", ["a", "b"], rows_of("a", "old", 5) + rows_of("b", "old", 5))
    assert table.replace("owner", ["a"], rows_of("a", "new", 2)) == 2
    assert sorted(table.column("text")) == ["new"] * 2 + ["old"] * 5
    table.replace("owner", ["a"], [])
    assert set(table.column("owner")) == {"b"}


def test_replace_twice_is_replace_once(table: Table) -> None:
    for _ in range(2):
        table.replace("owner", ["a"], rows_of("a", "same"))
    assert table.count() == ROWS == len(set(table.column("id")))


def test_insert_missing_says_how_many_were_new_and_keeps_what_is_there(table: Table) -> None:
    import pyarrow as pa

    table.insert_missing(pa.Table.from_pylist(rows_of("a", "first", 3), schema=schema()))
    assert table.insert_missing(pa.Table.from_pylist(rows_of("a", "second", 5), schema=schema())) == 2
    assert sorted(table.column("text")) == ["first"] * 3 + ["second"] * 2


def test_every_character_comes_back_and_can_be_asked_for_and_deleted(table: Table) -> None:
    rows = [{"id": f"{value}/{number}", "owner": value, "text": value} for number, value in enumerate(AWKWARD)]
    table.replace("owner", AWKWARD, rows)
    assert sorted(table.get("owner", AWKWARD, ["text"])["text"].to_pylist()) == sorted(AWKWARD)
    table.delete("owner", AWKWARD[1:])
    assert table.column("owner") == AWKWARD[:1]


def test_long_lists_of_values_are_looked_up_and_deleted_completely(table: Table) -> None:
    owners = [f"owner {number}" for number in range(1_203)]
    table.replace("owner", owners, [{"id": owner, "owner": owner, "text": ""} for owner in owners])
    assert table.get("owner", owners, ["id"]).num_rows == len(owners)
    table.delete("owner", owners[1:])
    assert table.column("id") == owners[:1]


def test_purge_leaves_nothing_of_a_deleted_row_on_the_disk(table: Table, state_dir: Path) -> None:
    secrets = [uuid.uuid4().hex for _ in range(30)]
    rows = [{"id": str(number), "owner": str(number), "text": text} for number, text in enumerate(secrets)]
    table.replace("owner", [row["owner"] for row in rows], rows)
    assert on_disk(state_dir, secrets[7]), "the text is not stored plainly: this test would prove nothing"
    table.delete("owner", ["7"])
    table.purge()
    assert not on_disk(state_dir, secrets[7])
    assert sorted(table.column("text")) == sorted(set(secrets) - {secrets[7]})


def test_a_purged_table_can_be_written_again(table: Table, state_dir: Path) -> None:
    table.replace("owner", ["a"], rows_of("a", "x", 3))
    table.delete("owner", ["a"])
    table.purge()
    table.replace("owner", ["a"], rows_of("a", "y", 3))
    assert table.column("text") == ["y"] * 3


def test_tidy_merges_the_many_small_files_and_keeps_every_row(table: Table, state_dir: Path) -> None:
    import pyarrow as pa

    for number in range(70):
        table.insert_missing(pa.Table.from_pylist([{"id": str(number), "owner": "a", "text": ""}], schema=schema()))
    before = len(list(state_dir.rglob("*.lance/data/*")))
    table.tidy()
    lance = table._lance
    assert lance is not None
    assert lance.stats()["fragment_stats"]["num_fragments"] < before
    assert sorted(table.column("id")) == sorted(map(str, range(70)))


def test_two_processes_that_insert_the_same_keys_leave_no_duplicates(state_dir: Path) -> None:
    ready = SPAWN.Barrier(2)
    writers = [SPAWN.Process(target=insert_many, args=(state_dir, ready)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(90)
    assert [writer.exitcode for writer in writers] == [0, 0]
    keys = table_of(state_dir).column("id")
    assert len(keys) == len(set(keys)) == 3 * ROWS


def kill_in_the_middle(state_dir: Path, seed: int, kills: int) -> None:
    moments = random.Random(seed)
    for number in range(kills):
        started = SPAWN.Event()
        writer = SPAWN.Process(target=replace_for_ever, args=(state_dir, started))
        run_until(writer, started)
        time.sleep(moments.random() * 0.1)  # not to wait for a fact: the moment of the kill
        writer.kill()
        writer.join(30)
        table = table_of(state_dir)
        texts = table.column("text")
        assert len(texts) == ROWS, f"seed {seed}, kill {number}: {len(texts)} rows"
        assert len(set(texts)) == 1, f"seed {seed}, kill {number}: rows of {len(set(texts))} writes"
        table.replace("owner", ["a"], rows_of("a", "the lock is free and the table can be written"))


def test_kill_9_in_the_middle_of_a_replace_leaves_the_old_or_the_new_rows(state_dir: Path) -> None:
    kill_in_the_middle(state_dir, seed=1, kills=2)


@pytest.mark.long
def test_many_kills_in_the_middle_of_a_replace(state_dir: Path) -> None:
    kill_in_the_middle(state_dir, seed=int(os.environ.get("SEED", "2")), kills=int(os.environ.get("KILLS", "40")))


def on_disk(folder: Path, text: str) -> bool:
    return any(text.encode() in file.read_bytes() for file in folder.rglob("*") if file.is_file())
