"""Guards against a choice that a bystander can change, and against division by a column of zeros."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from resources.accelerators.catalogue import catalogue
from resources.accelerators.configuration import PolicySettings
from resources.accelerators.deciding.rules import Rules
from resources.accelerators.deciding.state import State
from resources.accelerators.devices import Device
from resources.accelerators.placement.policy import BestFit, Candidate, FirstFit, policy_of
from resources.accelerators.placement.topsis import Topsis
from resources.accelerators.requests import Request
from resources.accelerators.units import GB

STATE = State(Rules())
REQUEST = Request("p", 10 * GB)
EQUAL = {"response_time": 1.0, "energy": 1.0, "cost": 1.0}


@dataclass(frozen=True)
class Figures:
    bf16_flops: float | None = None
    watts: float | None = None
    usd: float | None = None


def candidate(index: int, model: str = "m", *, spare: int = 0, left: int = 0, count: int = 1) -> Candidate:
    devices = tuple(Device(f"d{index}.{n}", "h", "gpu", model, 80 * GB, index) for n in range(count))
    return Candidate(devices, spare, left, tuple(("h", index, device.id) for device in devices))


def test_first_fit_takes_the_first_of_the_inventory() -> None:
    found = [candidate(2, spare=0), candidate(1, spare=50)]
    assert FirstFit().choose(found, REQUEST, STATE) is found[1]


def test_first_fit_puts_a_gang_into_the_tightest_group() -> None:
    found = [candidate(1, left=5, count=2), candidate(2, left=0, count=2)]
    assert FirstFit().choose(found, REQUEST, STATE) is found[1]


def test_best_fit_leaves_least_over_then_keeps_groups_together() -> None:
    found = [candidate(1, spare=9), candidate(2, spare=3, left=4), candidate(3, spare=3, left=1)]
    assert BestFit().choose(found, REQUEST, STATE) is found[2]


@pytest.mark.parametrize(
    ("weights", "winner"),
    [
        ({"response_time": 1.0}, "fast"),
        ({"energy": 1.0}, "frugal"),
        ({"cost": 1.0}, "cheap"),
    ],
)
def test_topsis_follows_its_weights(weights: dict[str, float], winner: str) -> None:
    models = {
        "fast": Figures(1000e12, 1000, 50_000),
        "frugal": Figures(300e12, 100, 20_000),
        "cheap": Figures(100e12, 200, 1000),
    }
    found = [candidate(index, model) for index, model in enumerate(models)]
    assert Topsis(models, weights).choose(found, REQUEST, STATE).devices[0].model == winner


def test_a_gang_is_faster_than_one_of_its_devices() -> None:
    topsis = Topsis({"m": Figures(100e12, 100, 1000), "n": Figures(10e12, 90, 900)}, {"response_time": 1.0})
    assert topsis.choose([candidate(1), candidate(2, count=4)], REQUEST, STATE).devices[0].index == 2


def test_the_removal_of_the_worst_never_changes_the_winner() -> None:
    rng = random.Random(7)
    for _ in range(500):
        models = {str(n): Figures(*(_maybe(rng, top) for top in (1e15, 1000, 40_000))) for n in range(8)}
        topsis = Topsis(models, {name: rng.random() for name in EQUAL})
        found = [candidate(n, str(n)) for n in rng.sample(range(8), 3)]
        worst = min(found, key=lambda c: (topsis.closeness(c.devices).value, -c.order[0][1]))
        winner = topsis.choose(found, REQUEST, STATE)
        rest = [c for c in found if c is not worst]
        assert topsis.choose(rest, REQUEST, STATE) is winner


def _maybe(rng: random.Random, top: float) -> float | None:
    return None if rng.random() < 0.2 else rng.uniform(0.01, 1) * top


def test_a_criterion_without_a_figure_is_left_out_and_named() -> None:
    topsis = Topsis({"m": Figures(100e12, 100, 1000), "n": Figures(50e12, None, None)}, EQUAL)
    assert topsis.closeness(candidate(1, "n").devices).left_out == ("energy", "cost")
    assert topsis.closeness(candidate(1, "m").devices).left_out == ()


@pytest.mark.parametrize("figures", [Figures(0.0, 0.0, 0.0), Figures(1e12, 0.0, 0.0), Figures()])
def test_zero_constant_and_missing_columns_leave_the_choice_to_the_fit(figures: Figures) -> None:
    topsis = Topsis({"m": figures, "n": figures}, EQUAL)
    found = [candidate(1, "m", spare=5), candidate(2, "n", spare=1)]
    assert topsis.choose(found, REQUEST, STATE) is found[1]


def test_one_candidate_and_identical_candidates_are_handled() -> None:
    topsis = Topsis({"m": Figures(1e12, 100, 1000)}, EQUAL)
    assert topsis.choose([candidate(1)], REQUEST, STATE).devices[0].index == 1
    assert topsis.choose([candidate(2), candidate(1)], REQUEST, STATE).devices[0].index == 1


def test_an_unknown_model_goes_last() -> None:
    topsis = Topsis({"m": Figures(1e12, 100, 1000), "n": Figures(2e12, 100, 500)}, EQUAL)
    found = [candidate(1, "unheard-of"), candidate(2, "n")]
    assert topsis.choose(found, REQUEST, STATE) is found[1]


def test_no_weight_at_all_leaves_the_choice_to_the_fit() -> None:
    topsis = Topsis({"m": Figures(1e12, 100, 1000), "n": Figures(2e12, 100, 500)}, {})
    assert topsis.choose([candidate(2, "n"), candidate(1, "m")], REQUEST, STATE).devices[0].index == 1


def test_the_file_names_the_policy_and_the_catalogue_feeds_it() -> None:
    assert policy_of(PolicySettings(), catalogue).name == "best_fit"
    assert policy_of(PolicySettings(name="first_fit"), catalogue).name == "first_fit"
    topsis = policy_of(PolicySettings(name="topsis", weights={"response_time": 1.0}), catalogue)
    found = [candidate(index, model) for index, model in enumerate(("t4", "b200"))]
    assert topsis.choose(found, REQUEST, STATE).devices[0].model == "b200"
