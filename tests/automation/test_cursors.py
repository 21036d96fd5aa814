"""Guards against a sensor that a damaged cursor stops for good."""

from __future__ import annotations

import time

import dagster as dg
import pytest

from sensors.accelerators import accelerators_picture
from sensors.cursors import beginning

DAMAGED = ["x", "nan", "inf", "-5", '{"old": 1}', "9e12"]


@pytest.mark.parametrize("cursor", [None, "", *DAMAGED])
def test_a_cursor_that_says_nothing_begins_some_time_ago(cursor: str | None) -> None:
    assert beginning(cursor, 3600.0) == pytest.approx(time.time() - 3600, abs=5)


def test_a_cursor_is_taken_where_it_can_be() -> None:
    assert beginning("12.5", 3600.0) == 12.5


@pytest.mark.parametrize("cursor", DAMAGED)
def test_the_picture_of_the_accelerators_goes_on_from_a_damaged_cursor(
    cursor: str, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def no_change(since: float, now: float) -> float:
        asked.append(now - since)
        return since

    monkeypatch.setattr("sensors.accelerators.last_change", no_change)
    found = accelerators_picture(dg.build_sensor_context(instance=instance, cursor=cursor))
    assert isinstance(found, dg.SkipReason)
    assert asked == [pytest.approx(24 * 3600, abs=5)]
