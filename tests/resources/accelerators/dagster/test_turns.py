"""Guards against an order in which a run takes the place of one that our pools do not concern, or is lost."""

from __future__ import annotations

from resources.accelerators.dagster_turns import QueuedRun, turns


def ours(run_id: str, priority: int = 0, refused: str | None = None) -> QueuedRun:
    return QueuedRun(run_id, priority, pools={"lora": 1}, refused=refused)


def free(run_id: str, priority: int = 0) -> QueuedRun:
    return QueuedRun(run_id, priority, unlimited=True)


def order(*arguments: object) -> list[str]:
    return [turn.run_id for turn in turns(*arguments)]  # pyright: ignore[reportArgumentType]  # as given


def test_only_runs_whose_turn_it_is_are_shown() -> None:
    assert order([ours("a"), ours("b"), free("x")], ["b"]) == ["b", "x"]


def test_our_runs_take_the_ledgers_order_among_their_own_places() -> None:
    assert order([ours("a"), free("x"), ours("b"), free("y"), ours("c")], ["c", "a", "b"]) == list("cxayb")


def test_a_run_with_dagsters_priority_stays_before_ours() -> None:
    assert order([ours("a"), ours("b"), free("x", 5)], ["b", "a"]) == ["x", "b", "a"]


def test_each_run_has_the_priority_of_its_place_so_that_sorting_again_changes_nothing() -> None:
    found = turns([ours("a", 3), free("x", 2), ours("b", 1)], ["b", "a"])
    assert [(turn.run_id, turn.priority) for turn in found] == [("b", 3), ("x", 2), ("a", 1)]
    assert sorted(found, key=lambda turn: -turn.priority) == found


def test_refused_runs_come_first_and_lapsed_ones_last() -> None:
    runs = [ours("lapsed"), ours("turn"), ours("slip", refused="no number")]
    assert order(runs, ["turn"], {"lapsed"}) == ["slip", "turn", "lapsed"]


def test_a_run_with_several_offered_steps_is_shown_once() -> None:
    assert order([ours("a"), ours("b")], ["b", "a", "b"]) == ["b", "a"]
