"""Under an instance without our storage nobody claims for a step: two of them would compute on one device."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest

from resources.accelerators.ledger.ledger import Ledger
from tests.resources.accelerators.step.assets import FOLDER_TAG, RESOURCES, trained
from tests.resources.accelerators.step.conftest import Place, until


def run(folder: Path, seconds: float, tags: Mapping[str, str] | None = None) -> dg.ExecuteInProcessResult:
    given = {FOLDER_TAG: str(folder), "seconds": str(seconds), **(tags or {})}
    return dg.materialize([trained], resources=RESOURCES, tags=given, raise_on_error=False)


def begun(folder: Path, seconds: float) -> tuple[threading.Thread, list[dg.ExecuteInProcessResult]]:
    results: list[dg.ExecuteInProcessResult] = []
    thread = threading.Thread(target=lambda: results.append(run(folder, seconds)))
    thread.start()
    return thread, results


def free(ledger: Ledger) -> bool:
    state = ledger.view()
    return not state.leases and not state.waiting


def test_two_steps_take_turns_and_the_second_says_how_long_it_waited(place: Place, tmp_path: Path) -> None:
    thread, first = begun(tmp_path / "a", 1.5)
    until(lambda: place.ledger.view().leases)
    second = run(tmp_path / "b", 0)
    thread.join()
    assert first[0].success
    assert second.success
    spans = [tuple(map(float, (tmp_path / name / "held").read_text().split())) for name in "ab"]
    assert spans[0][1] <= spans[1][0], "both held the one device at the same time"
    said = second.asset_materializations_for_node("trained")[0].metadata
    assert float(str(said["seconds waited for devices"].value)) > 0.3
    assert free(place.ledger)


def test_a_step_that_makes_way_asks_again_and_goes_on_from_its_checkpoint(place: Place, tmp_path: Path) -> None:
    thread, results = begun(tmp_path / "a", 600)
    until((tmp_path / "a" / "works").exists)
    urgent = place.granted("urgent", "urgent")
    assert (tmp_path / "a" / "checkpoint").exists()
    place.ledger.release(urgent.run_id)
    thread.join(30)
    assert results, "it never ended"
    assert results[0].success
    retried = results[0].filter_events(lambda event: event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY)
    assert len(retried) == 1
    assert free(place.ledger)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"accelerator/memory_gb": "1000"}, "pretended"),
        ({"accelerator/memory_gb": "much"}, "accelerator/memory_gb"),
    ],
)
def test_what_can_never_be_granted_fails_at_once_and_says_why(
    place: Place, tmp_path: Path, tags: dict[str, str], said: str
) -> None:
    asked = time.monotonic()
    done = run(tmp_path / "a", 0, tags)
    assert not done.success
    assert time.monotonic() - asked < 10
    data = done.failure_data_for_node("trained")
    assert data
    assert data.error
    assert said in data.error.to_string()
    assert free(place.ledger)
