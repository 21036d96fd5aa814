"""Guards against the work of one target that passes for that of another, and two first commands that fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData

from resources.profile import ROOT, TARGET_VARIABLE

OPEN = "import dagster as dg; dg.DagsterInstance.get().get_runs(limit=1)"
AT_ONCE = 4
ORIGIN = RemoteInstigatorOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("ours"), "all"), "source_files")
SENSOR = InstigatorState(ORIGIN, InstigatorType.SENSOR, InstigatorStatus.RUNNING, SensorInstigatorData(cursor="seen"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's dagster.yaml over an empty state."""
    text = (ROOT / "dagster.yaml").read_text(encoding="utf-8")
    (tmp_path / "dagster.yaml").write_text(text.replace(".state/dagster", str(tmp_path / "state")), encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@dg.asset(key=["acme", "handbook", "documents"])
def documents() -> dg.MaterializeResult:
    return dg.MaterializeResult(data_version=dg.DataVersion("1"))


def test_a_target_knows_nothing_of_what_another_one_has_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def known(target: str | None, *, make: bool = False) -> tuple[int, bool, bool]:
        monkeypatch.setenv(TARGET_VARIABLE, target or "")
        with dg.DagsterInstance.get() as instance:
            if make:
                dg.materialize([documents], instance=instance)
                instance.add_instigator_state(SENSOR)
            made = instance.get_latest_materialization_event(documents.key) is not None
            return len(instance.get_runs()), made, bool(instance.all_instigator_state())

    assert known("ci", make=True) == (1, True, True)
    assert known("dev") == (0, False, False)
    assert known(None, make=True) == (1, True, True)
    assert known("dev") == (1, True, True), "the default target"
    assert known("ci") == (1, True, True)


def test_first_commands_at_once_make_dagsters_tables_once(home: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", OPEN], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(AT_ONCE)
    ]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
