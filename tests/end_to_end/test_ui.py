"""What a person does in the UI: a button that does nothing, and a run that lives on when cancelled, cost its trust.

Chromium clicks; the project's own instance says what has become of it. The pictures are kept in .state/screenshots,
or where LLM_ASSETS_SCREENSHOTS says. The tests build on each other, in the order of this file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from llm_assets.training.checkpoints import latest_whole
from tests.conftest import copy_project
from tests.end_to_end.browser import Ui, browser, missing
from tests.end_to_end.dagster_dev import Served, dagster_dev
from tests.end_to_end.documents import corpus_yaml, fine_tune_yaml, write_documents
from tests.end_to_end.looking import instance_of, recorded, runs_of
from tests.models.real_model import example_rows
from tests.polling import until
from tests.tiny_model import save_tiny_model

# In CI the tests fail without a browser: nobody would read that they were skipped.
lacking = missing()
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(lacking is not None and os.environ.get("CI") != "true", reason=str(lacking)),
]
GONE_SECONDS = 10  # within which a cancelled run's processes have ended
DELIVERY = "resources.tracking.delivery"
MODEL = "dbt_like_configs/acme/places/tiny"
SMALL = 8  # documents of the small folder
MANY = 3000  # so many that parsing them takes longer than to cancel it


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A corpus and a fine-tune of a tiny model, that nothing starts but the tests."""
    project = copy_project(tmp_path_factory.mktemp("ui") / "project")
    tests = {"documents": [{"test": "row_count", "min": 1}]}
    text = corpus_yaml(automation="manual", owners=["team:legal"], description="Rules.", tests=tests)
    folder = project.write("acme/handbook/defs.yaml", text).parent
    write_documents(folder / "documents", SMALL)
    project.write("acme/handbook/documents/long.txt", "A rule that is too long. " * 4000)
    training = {"batch": 4, "max_steps": 4, "checkpoint_steps": 2, "max_tokens": 48, "threads": 1}
    project.write("acme/places/examples.jsonl", "".join(json.dumps(row) + "\n" for row in example_rows()))
    data = {"examples": {"path": "examples.jsonl"}, "held_out": 0.2}
    attributes = {"model": "path:tiny", "automation": "manual", "data": data, "training": training}
    project.write("acme/places/defs.yaml", fine_tune_yaml("places", **attributes))
    save_tiny_model(project.root / MODEL)
    with dagster_dev(project) as found:
        yield found


@pytest.fixture(scope="module")
def ui(served: Served) -> Iterator[Ui]:
    with browser(served.address) as found:
        yield found


@pytest.fixture(autouse=True)
def _last_look(ui: Ui, request: pytest.FixtureRequest) -> Iterator[None]:
    """A picture of how each test ended, above all of one that failed."""
    yield
    ui.shot("end_of_" + re.sub(r"\W+", "_", request.node.name)[:80])


def test_the_asset_graph_shows_what_the_yaml_describes(ui: Ui) -> None:
    ui.open("asset-groups")
    for group in ("acme_handbook", "acme_places", "platform"):
        ui.sees(group)
    ui.page.get_by_text("fetching statuses").first.wait_for(state="hidden")
    ui.shot("asset_graph")
    ui.open("locations/llm-assets/asset-groups/acme_handbook/lineage")
    ui.sees("vector_index")
    ui.shot("asset_graph_of_a_corpus")
    ui.open("assets/acme/handbook/documents")
    for shown in ("One row a file", "Rules.", "legal", "acme_handbook", "Lance"):
        ui.sees(shown)
    ui.shot("asset_before_its_first_run")


@pytest.mark.parametrize(
    ("asset", "parameters", "said"),
    [
        ("acme/handbook/documents", "memory_gb: 0.1", "memory_gb: Input should be greater than or equal to 0.3"),
        ("acme/places/tuned_model", "batch: 4, micro_batch: 3", "micro_batch is 3: it must divide batch (4)"),
    ],
)
def test_a_value_out_of_range_is_refused_before_anything_starts(
    ui: Ui, served: Served, asset: str, parameters: str, said: str
) -> None:
    begun = len(runs_of(served.project))
    ui.launchpad(asset, parameters)
    ui.sees("No errors")
    ui.click("Materialize")
    ui.sees(said)
    ui.shot("refused_" + parameters.partition(":")[0])
    assert len(runs_of(served.project)) == begun


def test_an_unknown_parameter_is_refused_while_it_is_written_with_those_permitted(ui: Ui) -> None:
    ui.launchpad("acme/handbook/documents", "reparsed: true")
    ui.sees(re.compile('unexpected config entry "reparsed"'))
    ui.sees(re.compile("Expected: .*max_mb.*reparse.*workers"))
    ui.shot("refused_unknown")


def test_an_asset_is_materialised_with_a_changed_parameter(ui: Ui, served: Served) -> None:
    ui.launchpad("acme/handbook/documents", "max_mb: 0.05, workers: 1")
    run = ui.launched()
    assert served.ended(run) == dg.DagsterRunStatus.SUCCESS
    found = recorded(served.project, "acme/handbook/documents")
    assert (found["dagster/row_count"], found["quarantined"]) == (SMALL + 1, 1)
    ui.sees("RUN_SUCCESS")
    ui.shot("run_that_succeeded")


def test_checks_tables_and_pictures_are_to_be_seen(ui: Ui, served: Served) -> None:
    ui.open("assets/acme/handbook/documents?view=checks")
    ui.sees("row_count")
    ui.sees("Passed")
    ui.shot("checks")
    ui.open("assets/acme/handbook/documents")
    ui.sees("quarantined files")
    ui.shot("asset_with_its_metadata")
    ui.open("assets/overview")
    ui.page.get_by_role("button", name="Materialize").first.click()
    until(lambda: _materialised(served, "overview"), "the overview is there", seconds=60)
    ui.open("assets/overview")
    ui.sees(re.compile("Show Markdown")).click()
    picture = ui.page.get_by_role("dialog").locator("img").first
    picture.wait_for()
    assert picture.evaluate("image => image.complete && image.naturalWidth > 300")
    ui.shot("overview_picture")
    ui.page.keyboard.press("Escape")
    picture.wait_for(state="hidden")
    ui.shot("overview")


def test_a_failed_run_is_executed_again_from_its_failure(ui: Ui, served: Served) -> None:
    begun = len(runs_of(served.project))
    model, away = served.project.root / MODEL, served.project.root / "away"
    shutil.move(model, away)
    ui.open("locations/llm-assets/jobs/train_acme_places")
    ui.sees("training_set")
    ui.click("Materialize all")
    first = until(lambda: _newest(served, begun + 1), "the job is started", seconds=60)
    failed = served.ended(first)
    shutil.move(away, model)
    assert failed == dg.DagsterRunStatus.FAILURE

    ui.open(f"runs/{first}")
    ui.sees("RUN_FAILURE")
    ui.shot("run_that_failed")
    ui.menu("Re-execute all", re.compile("from failure", re.IGNORECASE))
    second = until(lambda: _newest(served, begun + 2), "it is executed again", seconds=60)
    assert served.ended(second) == dg.DagsterRunStatus.SUCCESS
    assert served.run(second).parent_run_id == first
    with instance_of(served.project) as instance:
        steps = {record.step_key for record in instance.get_run_step_stats(second)}
    assert steps == {f"acme__places__{stage}" for stage in ("tuned_model", "evaluation", "promoted_model")}
    ui.open(f"runs/{second}")
    ui.sees("RUN_SUCCESS")
    ui.shot("run_executed_from_its_failure")


def test_a_cancelled_training_ends_with_its_processes_and_goes_on_from_its_checkpoint(ui: Ui, served: Served) -> None:
    trainings = served.project.root / ".state/dev/tenants/acme/models/places"
    before = set(trainings.iterdir())
    ui.launchpad("acme/places/tuned_model", "max_steps: 20000, epochs: 10000, checkpoint_steps: 5")
    idle = served.processes()
    run = ui.launched()
    new = until(
        lambda: next((path for path in trainings.iterdir() if path not in before), None), "it begins", seconds=120
    )
    until(lambda: next(new.glob("checkpoints/checkpoint-*"), None), "a checkpoint", seconds=120)
    _terminate(ui, served, idle)
    assert served.ended(run) == dg.DagsterRunStatus.CANCELED
    ui.sees("Canceled")
    ui.shot("run_that_was_cancelled")
    checkpoint = latest_whole(new / "checkpoints")
    assert checkpoint

    begun = len(runs_of(served.project))
    ui.click("Re-execute all")
    again = until(lambda: _newest(served, begun + 1), "it is executed again", seconds=60)
    ui.open(f"runs/{again}")
    until(
        lambda: f"going on from {checkpoint.name}" in _said(served, again),
        "it goes on from its checkpoint",
        seconds=120,
    )
    _terminate(ui, served, idle)
    assert served.ended(again) == dg.DagsterRunStatus.CANCELED


def test_cancelled_parsing_ends_with_its_pool_and_what_was_read_is_kept(ui: Ui, served: Served) -> None:
    folder = served.project.root / "dbt_like_configs/acme/handbook/documents/many"
    folder.mkdir()
    for number in range(MANY):
        (folder / f"{number}.html").write_text(f"<h1>Rule {number}</h1><p>{'The rule. ' * 200}</p>")
    ui.launchpad("acme/handbook/documents", "workers: 2")
    idle = served.processes()
    run = ui.launched()
    until(lambda: _working(served, idle, "parsing.worker"), "the pool works", seconds=60)

    _terminate(ui, served, idle)

    assert served.ended(run) == dg.DagsterRunStatus.CANCELED
    ui.launchpad("acme/handbook/documents", "workers: 2")
    assert served.ended(ui.launched()) == dg.DagsterRunStatus.SUCCESS
    assert recorded(served.project, "acme/handbook/documents")["dagster/row_count"] == SMALL + 1 + MANY


def _terminate(ui: Ui, served: Served, idle: dict[int, str]) -> None:
    """Cancel the run that is shown; all processes that are not of the idle server end in time."""
    ui.click("Terminate")
    ui.sees("1 run will be terminated")
    ui.click("Terminate 1 run")
    asked = time.monotonic()
    while (left := _working(served, idle)) and time.monotonic() < asked + GONE_SECONDS:
        time.sleep(0.1)
    assert not left
    print(f"gone after {time.monotonic() - asked:.1f} s")


def _working(served: Served, idle: dict[int, str], command: str = "") -> dict[int, str]:
    """The processes of runs: what the idle server's sensor has started to tell MLflow is none of theirs."""
    found = {pid: text for pid, text in served.processes().items() if pid not in idle}
    sensors = {pid for pid, text in found.items() if DELIVERY in text and _parent(pid) in idle}
    return {pid: text for pid, text in found.items() if command in text and not {pid, _parent(pid)} & sensors}


def _parent(pid: int) -> int:
    """0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _said(served: Served, run: str) -> str:
    with instance_of(served.project) as instance:
        return "\n".join(entry.user_message for entry in instance.all_logs(run))


def _materialised(served: Served, key: str) -> bool:
    with instance_of(served.project) as instance:
        return instance.get_latest_materialization_event(dg.AssetKey(key.split("/"))) is not None


def _newest(served: Served, count: int) -> str | None:
    """The newest run, once there are so many."""
    runs = [run.run_id for run in runs_of(served.project)]
    return runs[0] if len(runs) >= count else None
