"""Which state of an index is served: one pointer that moves whole, and can be held."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from llm_assets.corpora import serving
from resources.state import State
from resources.vector_index.protocol import Snapshot


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(f"sqlite:///{tmp_path / 'state.db'}", tmp_path / "locks")


def serve(state: State, version: int, tenant: str = "acme", corpus: str = "handbook", **options: object) -> None:
    snapshot = Snapshot(f"{corpus}_1", version)
    arguments = {"content": f"content {version}", "rows": version * 10, "settings": {"embedder": "m"}} | options
    serving.serve(state, tenant, corpus, snapshot, **arguments)  # type: ignore[arg-type]


def versions(state: State, tenant: str = "acme", corpus: str = "handbook") -> list[int | None]:
    return [entry.snapshot.version for entry in serving.history(state, tenant, corpus)]


def test_nothing_is_served_before_the_first_build(state: State) -> None:
    assert serving.served(state, "acme", "handbook") is None
    assert serving.history(state, "acme", "handbook") == []
    assert serving.known_corpora(state) == []


def test_the_newest_state_is_served_and_the_others_are_kept(state: State) -> None:
    for version in (1, 2, 3):
        serve(state, version)
    served = serving.served(state, "acme", "handbook")
    assert served is not None
    assert (served.snapshot, served.rows, served.content) == (Snapshot("handbook_1", 3), 30, "content 3")
    assert (served.settings, served.origin) == ({"embedder": "m"}, "build")
    assert versions(state) == [3, 2, 1]


def test_retired_states_are_out_of_reach(state: State) -> None:
    for version in (1, 2, 3):
        serve(state, version)
    serving.retire(state, [entry.seq for entry in serving.history(state, "acme", "handbook")[1:2]])
    serving.retire(state, [])
    assert versions(state) == [3, 1]


def test_a_rollback_serves_an_old_state_retires_the_new_one_and_pins_in_one_step(state: State) -> None:
    for version in (1, 2):
        serve(state, version)
    newest = serving.history(state, "acme", "handbook")[0]
    serve(state, 1, origin="rollback", retire=[newest.seq], pinned=True)
    served = serving.served(state, "acme", "handbook")
    assert served is not None
    assert (served.snapshot.version, served.origin) == (1, "rollback")
    assert 2 not in versions(state)
    assert serving.is_pinned(state, "acme", "index", "handbook")


def test_a_pointer_that_cannot_be_written_whole_does_not_move(state: State) -> None:
    serve(state, 1)
    with pytest.raises(SQLAlchemyError):  # from the second statement, after the new pointer was written
        serve(state, 2, retire=[object()], pinned=True)
    assert versions(state) == [1]
    assert not serving.is_pinned(state, "acme", "index", "handbook")


def test_a_pin_holds_until_it_is_resumed_and_is_nobody_elses(state: State) -> None:
    for _ in range(2):
        with state.write() as connection:
            serving.pin_in(state, connection, "acme", "index", "handbook")
    assert serving.is_pinned(state, "acme", "index", "handbook")
    assert not serving.is_pinned(state, "beta", "index", "handbook")
    assert not serving.is_pinned(state, "acme", "model", "handbook")
    assert serving.resume(state, "acme", "index", "handbook")
    assert not serving.resume(state, "acme", "index", "handbook")
    assert not serving.is_pinned(state, "acme", "index", "handbook")


def test_two_tenants_with_a_corpus_of_one_name_have_pointers_of_their_own(state: State) -> None:
    serve(state, 1)
    serve(state, 7, tenant="beta")
    assert (versions(state), versions(state, "beta")) == ([1], [7])
    assert serving.known_corpora(state) == [("acme", "handbook"), ("beta", "handbook")]


def test_replaced_snapshots_are_named_by_every_pointer_of_that_corpus_alone(state: State) -> None:
    for version in (1, 2):
        serve(state, version)
    serve(state, 1, tenant="beta")
    old = [Snapshot("handbook_1", version) for version in (1, 2)]
    new = [Snapshot("handbook_1", version) for version in (3, 4)]
    serving.replace(state, "acme", "handbook", dict(zip(old, new, strict=True)), dict.fromkeys(new, 9))
    assert versions(state) == [4, 3]
    assert {entry.rows for entry in serving.history(state, "acme", "handbook")} == {9}
    assert versions(state, "beta") == [1]
    served = serving.served(state, "acme", "handbook")
    assert served is not None
    assert served.content != "content 2", "the next build must compare"
