"""Locks: one holder at a time, and none after its holder was killed."""

from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from resources.state import State

SPAWN = multiprocessing.get_context("spawn")
AWKWARD_NAMES = ["a/b", "../escape", "契約/規程", "x" * 400, "契約" * 60, "a b\n", "."]


def hold(url: str, locks: Path, name: str, held: Any, let_go: Any) -> None:
    with State(url, locks).lock(name):
        held.set()
        let_go.wait()


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    return tmp_path / "locks"


@pytest.fixture
def state(state_url: str, locks: Path) -> State:
    return State(state_url, locks)


class Holder:
    """Another process that holds a lock."""

    def __init__(self, url: str, locks: Path, name: str) -> None:
        held, self.let_go = SPAWN.Event(), SPAWN.Event()
        self.process = SPAWN.Process(target=hold, args=(url, locks, name, held, self.let_go), daemon=True)
        self.process.start()
        assert held.wait(60), "the other process never got the lock"


def is_free(state: State, name: str, timeout: float = 0.3) -> bool:
    try:
        with state.lock(name, timeout=timeout):
            return True
    except TimeoutError:
        return False


def test_a_lock_excludes_other_processes_until_it_is_let_go(state: State, state_url: str, locks: Path) -> None:
    other = Holder(state_url, locks, "acme/handbook")
    assert not is_free(state, "acme/handbook")
    assert is_free(state, "acme/other"), "locks of other names are free"
    other.let_go.set()
    assert is_free(state, "acme/handbook", timeout=30)
    other.process.join(30)


def test_kill_9_of_the_holder_frees_its_lock(state: State, state_url: str, locks: Path) -> None:
    other = Holder(state_url, locks, "acme/handbook")
    assert not is_free(state, "acme/handbook")
    other.process.kill()
    assert is_free(state, "acme/handbook", timeout=10)


def test_who_waits_is_told_once_and_then_gets_it(state: State, state_url: str, locks: Path) -> None:
    told: list[str] = []
    with state.lock("x"):
        waiter = threading.Thread(target=lambda: _take(State(state_url, locks), told))
        waiter.start()
        deadline = time.monotonic() + 30
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
        assert told == ["waits for x"]
    waiter.join(30)
    assert told == ["waits for x", "has it"]


def _take(state: State, told: list[str]) -> None:
    with state.lock("x", on_wait=lambda name: told.append(f"waits for {name}")):
        told.append("has it")


def test_a_lock_is_let_go_when_the_work_fails(state: State) -> None:
    with pytest.raises(RuntimeError), state.lock("x"):
        raise RuntimeError
    assert is_free(state, "x")


def test_a_timeout_names_the_lock(state: State, state_url: str, locks: Path) -> None:
    with state.lock("acme/handbook"), pytest.raises(TimeoutError, match="lock 'acme/handbook' is still held"):
        State(state_url, locks).lock("acme/handbook", timeout=0.1).__enter__()


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_any_name_can_be_locked_and_stays_in_its_folder(
    state: State, state_url: str, tmp_path: Path, name: str
) -> None:
    with state.lock(name):
        assert not is_free(State(state_url, tmp_path / "locks"), name, timeout=0)
        assert is_free(state, name + "2")
    assert {path.parent for path in tmp_path.rglob("*.lock")} <= {tmp_path / "locks"}


def test_those_who_share_hold_it_together_and_against_whoever_wants_it_alone(state):
    with state.lock("corpus", shared=True, timeout=1), state.lock("corpus", shared=True, timeout=1):
        assert not is_free(state, "corpus")
    with state.lock("corpus", timeout=1), pytest.raises(TimeoutError), state.lock("corpus", shared=True, timeout=0.3):
        pass
    assert is_free(state, "corpus")
