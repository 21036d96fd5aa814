"""The state database, on SQLite and on PostgreSQL: nothing half written, nothing lost between two writers."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from resources import state_schema as schema
from resources.state import State, StateError
from tests.resources.conftest import PASSWORD, Server

SPAWN = multiprocessing.get_context("spawn")
WRITES = 50


def document(number: int, **changes: Any) -> dict[str, Any]:
    row = {"tenant": "acme", "corpus": "handbook", "doc_id": str(number), "uri": f"docs/{number}", "size": 1}
    row |= {"stamp": "1", "parser": "p", "status": "parsed", "elements": 0, "good_key": None, "updated_at": 0.0}
    return row | changes


def documents(state: State) -> list[dict[str, Any]]:
    return state.rows(sa.select(schema.documents).order_by(schema.documents.c.doc_id))


def count_up(url: str, locks: Path, ready: Any) -> None:
    """Raise one number many times, reading it first: a lost update would show."""
    state = State(url, locks)
    table = schema.documents
    ready.wait()
    for _ in range(WRITES):
        with state.lock("counter"), state.write() as connection:
            size = connection.execute(sa.select(table.c.size)).scalar_one()
            connection.execute(table.update().values(size=size + 1))


def put_the_same(url: str, locks: Path, ready: Any) -> None:
    state = State(url, locks)
    ready.wait()
    for number in range(WRITES):
        state.put(schema.documents, [document(number, stamp=str(os.getpid()))])


def open_as_nobody(url: str, locks: Path, answer: Any) -> None:
    State("sqlite://", locks)  # imports what the other user may not be allowed to read
    os.setgid(65534)
    os.setuid(65534)
    try:
        State(url, locks)
    except StateError as error:
        answer.put(str(error))
    else:
        answer.put("it was opened")


def run_two(target: Any, *arguments: Any) -> None:
    processes = [SPAWN.Process(target=target, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    return tmp_path / "locks"


@pytest.fixture
def state(state_url: str, locks: Path) -> State:
    return State(state_url, locks)


def test_put_inserts_and_updates_by_key_and_twice_is_once(state: State) -> None:
    rows = [document(1), document(2)]
    state.put(schema.documents, rows)
    state.put(schema.documents, rows)
    state.put(schema.documents, [document(2, stamp="2", reason="契約書 'quoted' \"twice\" %s :name")])
    found = documents(state)
    assert [row["stamp"] for row in found] == ["1", "2"]
    assert found[1]["reason"] == "契約書 'quoted' \"twice\" %s :name"


def test_put_of_nothing_and_of_rows_that_are_all_key(state: State) -> None:
    state.put(schema.documents, [])
    row = {"tenant": "acme", "model": "m", "version": "1", "corpus": "handbook", "doc_id": "1"}
    state.put(schema.trained_on, [row])
    state.put(schema.trained_on, [row])
    assert state.rows(sa.select(schema.trained_on)) == [row]


def test_a_write_that_fails_changes_nothing(state: State) -> None:
    row = document(1)
    with pytest.raises(IntegrityError), state.write() as connection:
        state.put_in(connection, schema.documents, [row, row | {"doc_id": "2", "uri": None}])
    assert documents(state) == []


def test_json_and_large_numbers_come_back_as_they_were(state: State) -> None:
    details = {"日本": [1, 2.5, None, {"deep": True}]}
    key = {"tenant": "acme", "kind": "index", "name": "handbook", "subject": "s"}
    state.put(schema.evaluations, [{**key, "metrics": {}, "details": details, "evaluated_at": 1_764_000_000.123456}])
    state.put(schema.documents, [document(1, size=2**40)])
    found = state.first(sa.select(schema.evaluations))
    assert found is not None
    assert found["details"] == details
    assert found["evaluated_at"] == pytest.approx(1_764_000_000.123456, abs=1e-6)
    assert documents(state)[0]["size"] == 2**40


def test_opening_it_again_keeps_what_is_there(state: State, state_url: str, locks: Path) -> None:
    state.put(schema.documents, [document(1)])
    assert documents(State(state_url, locks)) == documents(state)


def test_a_state_database_has_a_name_of_its_own_that_stays(
    state: State, state_url: str, locks: Path, tmp_path: Path
) -> None:
    assert state.installation == State(state_url, locks).installation
    assert state.installation != State(f"sqlite:///{tmp_path / 'other.db'}", locks).installation


def test_a_reader_sees_the_last_whole_state_while_another_writes(state: State) -> None:
    state.put(schema.documents, [document(1)])
    with state.write() as connection:
        connection.execute(schema.documents.update().values(stamp="2"))
        assert documents(state)[0]["stamp"] == "1"
    assert documents(state)[0]["stamp"] == "2"


def test_two_processes_that_read_and_write_lose_no_update(state: State, state_url: str, locks: Path) -> None:
    state.put(schema.documents, [document(1, size=0)])
    run_two(count_up, state_url, locks, SPAWN.Barrier(2))
    assert documents(state)[0]["size"] == 2 * WRITES


def test_two_processes_that_put_the_same_rows_leave_each_once(state: State, state_url: str, locks: Path) -> None:
    run_two(put_the_same, state_url, locks, SPAWN.Barrier(2))
    assert len(documents(state)) == WRITES


@pytest.mark.parametrize(("version", "way_out"), [(99, "update llm-assets"), (0, "point the target")])
def test_a_database_of_another_version_is_refused_and_left_alone(
    state: State, state_url: str, locks: Path, version: int, way_out: str
) -> None:
    with state.write() as connection:
        connection.execute(schema.schema_info.update().values(version=version))
        connection.execute(sa.text("DROP TABLE pins"))
    with pytest.raises(StateError, match=f"has schema {version}, this version reads 1: {way_out}") as error:
        State(state_url, locks)
    assert PASSWORD not in str(error.value)
    assert not sa.inspect(state.engine).has_table("pins")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, locks: Path) -> None:
    file = tmp_path / "state.db"
    file.write_bytes(b"not a database" * 1000)
    with pytest.raises(StateError, match=r"state\.db cannot be opened: file is not a database"):
        State(f"sqlite:///{file}", locks)
    assert file.read_bytes() == b"not a database" * 1000


def test_a_state_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateError, match=r"state\.db cannot be opened"):
        State(f"sqlite:///{tmp_path}/state/state.db", tmp_path / "state" / "locks")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_database_that_may_not_be_written_is_refused() -> None:
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    try:
        folder.chmod(0o755)
        State(f"sqlite:///{folder}/state.db", folder / "locks").engine.dispose()
        (folder / "locks").chmod(0o777)
        (folder / "locks" / "schema.lock").chmod(0o666)
        answer = SPAWN.Queue()
        process = SPAWN.Process(
            target=open_as_nobody, args=(f"sqlite:///{folder}/state.db", folder / "locks", answer)
        )
        process.start()
        assert "state.db cannot be opened" in answer.get(timeout=60)
        process.join(60)
    finally:
        shutil.rmtree(folder)


@pytest.mark.xdist_group("postgresql")
@pytest.mark.parametrize("database", ["no_such_database", "postgres"])
def test_a_server_that_refuses_is_named_without_the_password(
    postgresql: Server, tmp_path: Path, database: str
) -> None:
    url = postgresql.url(database).replace(PASSWORD, "secret-but-wrong" if database == "postgres" else PASSWORD)
    with pytest.raises(StateError, match=r"tester:\*\*\*@127\.0\.0\.1") as error:
        State(url, tmp_path / "locks")
    assert PASSWORD not in str(error.value)
    assert "secret-but-wrong" not in str(error.value)


def test_a_server_that_is_not_there_is_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="Connection refused") as error:
        State("postgresql+psycopg2://tester:hidden-word@127.0.0.1:1/state", tmp_path / "locks")
    assert "hidden-word" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["nonsense hidden-word", "mysql://u:hidden-word@host/db", "postgresql+asyncpg://u@h/d"]
)
def test_a_url_of_another_kind_is_refused_with_what_is_permitted(url: str, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="permitted: sqlite:") as error:
        State(url, tmp_path / "locks")
    assert "hidden-word" not in str(error.value)
