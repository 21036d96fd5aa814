"""A step that waits must say for what, and leave no request behind that others wait for."""

from __future__ import annotations

import threading

import pytest

from resources.accelerators.claiming import wait_for_lease
from tests.resources.accelerators.step.conftest import Place


def test_a_step_that_waits_says_why_and_is_granted_when_the_device_is_free(place: Place) -> None:
    told: list[str] = []
    place.granted("a")

    def tell(message: str) -> None:
        told.append(message)
        threading.Thread(target=place.ledger.release, args=("a",)).start()

    lease = wait_for_lease(place.ledger, place.waiting("b"), tell)
    assert lease.run_id == "b"
    assert told[0].startswith("pool whole, place 1 in the line: ")
    assert "a" in told[0].partition(": ")[2]


def test_a_step_that_is_interrupted_takes_its_request_back(place: Place) -> None:
    place.granted("a")

    def interrupt(_message: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_for_lease(place.ledger, place.waiting("b"), interrupt)
    assert not place.ledger.view().waiting
