"""Runs that meet the same text at once: embedded twice, or waited for without end because its claimant was killed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from llm_assets.corpora.embedding_claims import Claims
from resources.state import State

TABLE = "acme/embeddings_x"


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(f"sqlite:///{tmp_path / 'state.db'}", tmp_path / "locks")


def test_a_text_is_one_claimants_and_free_again_when_it_is_done(state):
    first, second = Claims(state, TABLE), Claims(state, TABLE)
    with first.held():
        assert first.take(["a", "b"]) == {"a", "b"}
        with second.held():
            assert second.take(["b", "c"]) == {"c"}
            assert len(second.others) == 1
    assert Claims(state, TABLE).take(["a", "b", "c"]) == {"a", "b", "c"}


def test_another_table_has_claims_of_its_own(state):
    assert Claims(state, TABLE).take(["a"]) == {"a"}
    assert Claims(state, "bolt/embeddings_x").take(["a"]) == {"a"}


def test_a_claimant_is_waited_for_until_it_is_done(state):
    first, second = Claims(state, TABLE), Claims(state, TABLE)
    waiting, done = threading.Event(), threading.Event()

    def wait() -> None:
        second.wait_for_others(lambda _: waiting.set())
        done.set()

    with first.held():
        first.take(["a"])
        second.take(["a"])
        thread = threading.Thread(target=wait)
        thread.start()
        assert waiting.wait(10)
        assert not done.is_set()
    thread.join(10)
    assert done.is_set()
    assert Claims(state, TABLE).take(["a"]) == {"a"}


def test_the_claims_of_a_dead_run_are_taken_over(state):
    Claims(state, TABLE).take(["a"])  # without its lock: as a killed process leaves it
    mine = Claims(state, TABLE)
    assert mine.take(["a"]) == set()
    mine.wait_for_others(lambda _: pytest.fail("nobody is there to wait for"))
    assert mine.take(["a"]) == {"a"}
