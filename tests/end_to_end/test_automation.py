"""Guards against documents that wait for a button: the real daemon follows files, by changes and by the clock.

The tests share one daemon and run in their order; each waits for what it needs.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorStatus, SensorInstigatorData

from llm_assets.watching import cursor
from tests.conftest import Project
from tests.end_to_end.daemon import (
    after_ticks,
    daemon,
    ended,
    found,
    instigator,
    last_tick,
    runs,
    says,
    until,
    write_corpus,
)
from tests.end_to_end.looking import assert_whole, instance_of, platform_of

pytestmark = pytest.mark.long  # a daemon, and a run or two for each test

HANDBOOK, PARTED, CLOCK = "ingest_acme_handbook", "ingest_acme_parted", "ingest_acme_clock"
QUESTION = "Which parrots talk"
BURST = 200


@dataclass(frozen=True)
class Watched:
    """The project under its daemon, with the folders of its corpora."""

    project: Project
    handbook: Path
    parted: Path


@pytest.fixture(scope="module")
def watched(module_project: Project) -> Iterator[Watched]:
    handbook, parted = write_corpus(module_project, "handbook"), write_corpus(module_project, "parted", buckets=3)
    clock = write_corpus(module_project, "clock", automation={"cron": "* * * * *"})
    (clock / "hours.md").write_text("# Hours\n\nThe office opens at nine.\n")
    with daemon(module_project):
        yield Watched(module_project, handbook, parted)


def succeeded(project: Project, job: str, number: int) -> None:
    """There are so many runs of a job, and all went well."""
    known = ended(project, job, number)
    assert [run.status for run in known] == [dg.DagsterRunStatus.SUCCESS] * number


def test_files_that_arrive_change_and_are_deleted_are_followed_by_one_run_each(watched: Watched) -> None:
    for name in ("parrots", "budgies"):
        (watched.handbook / f"{name}.md").write_text(f"# Birds\n\nThe {name} talk all day long.\n")
    succeeded(watched.project, HANDBOOK, 1)
    assert found(watched.project, "handbook", QUESTION)[0] == "parrots.md"

    (watched.handbook / "budgies.md").write_text(
        "# Birds\n\nWhoever asks which parrots talk is sent to the aviary.\n"
    )
    (watched.handbook / "parrots.md").unlink()
    (watched.handbook / "crows.md").write_text("# Birds\n\nCrows do not talk.\n")
    succeeded(watched.project, HANDBOOK, 2)
    assert found(watched.project, "handbook", "aviary") == ["budgies.md"]
    assert "parrots.md" not in found(watched.project, "handbook", QUESTION)
    after_ticks(watched.project)
    assert len(runs(watched.project, HANDBOOK)) == 2


def switch_clock(project: Project, status: InstigatorStatus) -> None:
    """Stop or start the schedule that ticks every minute."""
    with instance_of(project) as instance:
        schedule = instigator(instance, f"{CLOCK}_schedule")
        assert schedule
        instance.update_instigator_state(schedule.with_status(status))


def test_a_corpus_with_a_cron_runs_by_the_clock(watched: Watched) -> None:
    newest = until(lambda: runs(watched.project, CLOCK), "a run by the clock", 90, watched.project)[0]
    assert newest.tags["dagster/schedule_name"] == f"{CLOCK}_schedule"
    switch_clock(watched.project, InstigatorStatus.STOPPED)
    ended(watched.project, CLOCK, 1)
    assert found(watched.project, "clock", "office") == ["hours.md"]


def test_a_burst_of_files_is_one_run_over_all_buckets_and_nothing_follows_it(watched: Watched) -> None:
    for number in range(BURST):
        (watched.parted / f"{number}.txt").write_text(f"Note {number} lies in the drawer w{number}.")
    succeeded(watched.project, PARTED, 1)
    assert_whole(platform_of(watched.project), "acme", "parted")
    assert found(watched.project, "parted", f"w{BURST - 1}") == [f"{BURST - 1}.txt"]
    after_ticks(watched.project, 5)  # the automation of assets looks every 20 seconds
    assert {run.job_name for run in runs(watched.project)} <= {HANDBOOK, PARTED, CLOCK}
    assert len(runs(watched.project, PARTED)) == 1


def test_a_folder_that_vanishes_starts_no_run_is_told_and_what_is_served_stays(watched: Watched) -> None:
    key = dg.AssetKey(["acme", "handbook", "source_files"])
    before = len(ended(watched.project, HANDBOOK, 1)), found(watched.project, "handbook", "crows")

    def check() -> bool | None:
        with instance_of(watched.project) as instance:
            known = instance.event_log_storage.get_latest_asset_check_execution_by_key(
                [dg.AssetCheckKey(key, "can_be_listed")]
            )
            event = next(iter(known.values())).event if known else None
            result = event.dagster_event.asset_check_evaluation_data if event and event.dagster_event else None
            return result.passed if result else None

    watched.handbook.rename(watched.handbook.with_name("elsewhere"))
    try:
        until(lambda: check() is False, "the check fails", 60, watched.project)
        assert "does not exist" in says(watched.project, "acme/handbook")
    finally:
        watched.handbook.with_name("elsewhere").rename(watched.handbook)
    until(lambda: check() is True, "the check passes again", 60, watched.project)
    assert (len(runs(watched.project, HANDBOOK)), found(watched.project, "handbook", "crows")) == before


def test_a_damaged_cursor_starts_no_run_again(watched: Watched) -> None:
    before = len(runs(watched.project))

    def sensor_cursor(write: str | None = None) -> str | None:
        with instance_of(watched.project) as instance:
            state = instigator(instance, "source_files")
            assert state
            data = cast("SensorInstigatorData", state.instigator_data)
            if write:
                instance.update_instigator_state(state.with_data(data._replace(cursor=write)))
            return data.cursor

    after_ticks(watched.project, 1)  # the next one begins in some seconds
    sensor_cursor(write="{damaged")
    assert sensor_cursor() == "{damaged"
    after_ticks(watched.project)
    assert set(cursor.loads(sensor_cursor())) == {"acme/handbook", "acme/parted"}
    assert "nothing has changed" in last_tick(watched.project)
    assert len(runs(watched.project)) == before


def test_two_daemons_start_one_run(watched: Watched) -> None:
    before, by_the_clock = len(runs(watched.project, HANDBOOK)), len(runs(watched.project, CLOCK))
    with daemon(watched.project, log="second.log"):
        log = watched.project.root / "second.log"
        looks = "Checking for new runs for sensor: source_files"
        until(lambda: looks in log.read_text(), "the second one looks as well", 90, watched.project)
        shutil.copy(watched.handbook / "crows.md", watched.handbook / "rooks.md")
        succeeded(watched.project, HANDBOOK, before + 1)
        after_ticks(watched.project, 4)
        switch_clock(watched.project, InstigatorStatus.RUNNING)
        ticked = "Evaluating schedule `ingest_acme_clock_schedule`"
        until(lambda: log.read_text().count(ticked) >= 2, "the second one ticks as well", 200, watched.project)
        ended(watched.project, CLOCK, by_the_clock + 1)
        switch_clock(watched.project, InstigatorStatus.STOPPED)
    assert len(runs(watched.project, HANDBOOK)) == before + 1
    ticks = Counter(run.tags["dagster/run_key"] for run in runs(watched.project, CLOCK))
    assert set(ticks.values()) == {1}
