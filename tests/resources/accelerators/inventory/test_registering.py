"""An agent that reports a change at every look hides the one that matters; one that is slow keeps others waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.accelerators.configuration import Accelerators
from resources.accelerators.inventory import refresh, register_this_host
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.liveness import this_host

EIGHT = {"model": "h100-sxm-80", "count": 8, "host": "dgx", "nvlink": "switch", "pretend": True}
ACCELERATORS = Accelerators.model_validate({"devices": [EIGHT]})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path}/ledger.db", ACCELERATORS)
    yield opened
    opened.close()


def test_a_host_registers_its_cpu_and_what_is_declared(ledger: Ledger) -> None:
    done = register_this_host(ledger, ACCELERATORS)
    assert set(done.added) >= {f"{this_host()}/cpu0", *(f"dgx/gpu{n}" for n in range(8))}
    devices = ledger.view().devices
    assert devices["dgx/gpu7"].nvlink == "switch"
    assert devices["dgx/gpu7"].pretended


def test_looking_again_changes_nothing_and_takes_little_time(ledger: Ledger) -> None:
    register_this_host(ledger, ACCELERATORS)
    started = time.monotonic()
    done = refresh(ledger, ACCELERATORS)
    assert time.monotonic() - started < 0.5
    assert (done.added, done.changed, done.lost) == ((), (), ())


def test_a_device_that_is_not_declared_any_more_is_lost(ledger: Ledger) -> None:
    register_this_host(ledger, ACCELERATORS)
    fewer = Accelerators.model_validate({"devices": [EIGHT | {"count": 7}]})
    assert refresh(ledger, fewer).lost == ("dgx/gpu7",)
    assert ledger.view().devices["dgx/gpu7"].state == "lost"
