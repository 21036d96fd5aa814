"""A copy of the project with Dagster's real daemon over it, and what it has done."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import dagster as dg

from tests.conftest import Project
from tests.end_to_end.looking import instance_of

T = TypeVar("T")
SECONDS = 90.0  # for what the daemon does within seconds on an idle machine
HANDBOOK = """type: llm_assets.components.Corpus
attributes:
  name: {name}
  automation: {automation}
  source: {{path: {path}}}
"""


def write_corpus(project: Project, name: str, automation: str = "on_change", path: str = "documents") -> Path:
    """A corpus of the tenant acme. Its folder of documents."""
    project.write(f"acme/{name}/defs.yaml", HANDBOOK.format(name=name, automation=automation, path=path))
    folder = project.root / "dbt_like_configs" / "acme" / name / "documents"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def daemon(project: Project) -> Iterator[subprocess.Popen[str]]:
    """`dagster-daemon run`, ended with its code server and its runs."""
    with (project.root / "daemon.log").open("a") as log:
        process = project.start("dagster-daemon", "run", "-w", "workspace.yaml", stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def runs(project: Project, job: str | None = None) -> list[dg.DagsterRun]:
    """The runs of a project, newest first."""
    with instance_of(project) as instance:
        return list(instance.get_runs(filters=dg.RunsFilter(job_name=job)))


def ended(project: Project, job: str, number: int) -> list[dg.DagsterRun]:
    """The runs of a job once there are `number` of them and all have ended."""

    def all_ended() -> list[dg.DagsterRun] | None:
        found = runs(project, job)
        return found if len(found) >= number and all(run.is_finished for run in found) else None

    return until(all_ended, f"{number} runs of {job}", 2 * SECONDS, project)


def last_tick(project: Project, name: str = "source_files") -> str:
    """What the newest tick of a sensor says: its skip reason, or the error."""
    with instance_of(project) as instance:
        state = next((one for one in instance.all_instigator_state() if one.instigator_name == name), None)
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2) if state else []
        found = [tick for tick in ticks if tick.skip_reason or tick.error or tick.run_ids]
        return str(found[0].skip_reason or found[0].error or found[0].run_ids) if found else ""


def says(project: Project, text: str) -> str:
    """The sensor's reason, once it holds `text`."""
    return until(lambda: said if text in (said := last_tick(project)) else None, text, SECONDS, project)


def until(look: Callable[[], T | None], what: str, seconds: float, project: Project) -> T:
    """What `look` finds, as soon as it finds anything."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.25)
    log = (project.root / "daemon.log").read_text()[-4000:]
    raise TimeoutError(f"not within {seconds:.0f} s: {what}. The sensor says: {last_tick(project)}\n{log}")
