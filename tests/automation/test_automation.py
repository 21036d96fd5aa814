"""Guards against cron strings that never run, run twice, or are accepted though they are none."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from llm_assets.automation import Cron
from llm_assets.schema import Described

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2026-03-28", ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
        ("2026-10-24", ["2026-10-24T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"]),
    ],
)
def test_a_time_that_the_clocks_skip_or_pass_twice_is_run_once(start: str, expected: list[str]) -> None:
    begin = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(BERLIN))
    ticks = islice(Cron(cron="30 2 * * *", timezone=BERLIN).ticks(begin), 3)
    assert [tick.isoformat() for tick in ticks] == expected


@pytest.mark.parametrize(
    ("automation", "message"),
    [
        ("sometimes", "'on_change' or 'manual'"),
        ({"cron": "61 * * * *"}, "is no cron string"),
        ({"cron": "0 0 30 2 *"}, "is no cron string"),
        ({"cron": "0 3 * * *", "timezone": "Mars/One"}, "is no IANA time zone"),
    ],
)
def test_what_is_no_automation_is_refused(automation: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Described.model_validate({"name": "handbook", "automation": automation})
