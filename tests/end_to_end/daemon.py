"""A copy of the project with Dagster's real daemon over it, and what it has done."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, TickStatus

from llm_assets.corpora import serving
from tests import polling
from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml
from tests.end_to_end.looking import instance_of, make_dagsters_tables, platform_of

T = TypeVar("T")
SECONDS = 90.0  # for what the daemon does within seconds on an idle machine


def write_corpus(project: Project, name: str, **attributes: object) -> Path:
    """A corpus of the tenant acme. Its folder of documents, empty."""
    folder = project.write(f"acme/{name}/defs.yaml", corpus_yaml(name, **attributes)).parent / "documents"
    folder.mkdir()
    return folder


@contextmanager
def daemon(project: Project, log: str = "daemon.log") -> Iterator[subprocess.Popen[str]]:
    """`dagster-daemon run`, ended with its code server and its runs."""
    make_dagsters_tables(project)
    with (project.root / log).open("a") as said:
        process = project.start("dagster-daemon", "run", "-w", "workspace.yaml", stdout=said, stderr=said)
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
        known = runs(project, job)
        return known if len(known) >= number and all(run.is_finished for run in known) else None

    return until(all_ended, f"{number} runs of {job}", 2 * SECONDS, project)


def found(project: Project, name: str, question: str) -> list[str]:
    """The names of the documents that a search in what is served finds for the words of a question, best first."""
    platform = platform_of(project)
    served = serving.served(platform.state, "acme", name)
    if served is None:
        return []
    hits = platform.index("acme").search(served.snapshot, text=question, vector=None, mode="text")
    return list(dict.fromkeys(hit.uri.rpartition("/")[2] for hit in hits))


def instigator(instance: dg.DagsterInstance, name: str) -> InstigatorState | None:
    """What Dagster knows of a sensor or a schedule; None before its first tick."""
    return next((one for one in instance.all_instigator_state() if one.instigator_name == name), None)


def ticks(project: Project, name: str = "source_files") -> int:
    """How many ticks of a sensor have ended."""
    with instance_of(project) as instance:
        state = instigator(instance, name)
        kept = instance.get_ticks(state.instigator_origin_id, state.selector_id) if state else []
        return sum(tick.status is not TickStatus.STARTED for tick in kept)


def after_ticks(project: Project, number: int = 2) -> None:
    """Returns once the sensor has looked so many more times: what it has not started by then, it does not start."""
    before = ticks(project)
    until(lambda: ticks(project) >= before + number, f"{number} more ticks", SECONDS, project)


def last_tick(project: Project, name: str = "source_files") -> str:
    """What the newest tick of a sensor says: its skip reason, the error, or the runs it has started."""
    with instance_of(project) as instance:
        state = instigator(instance, name)
        newest = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2) if state else []
        told = [tick for tick in newest if tick.status is not TickStatus.STARTED]
        return str(told[0].skip_reason or told[0].error or told[0].run_ids) if told else ""


def says(project: Project, text: str) -> str:
    """The sensor's reason, once it holds `text`."""
    return until(lambda: said if text in (said := last_tick(project)) else None, text, SECONDS, project)


def until(look: Callable[[], T | None], what: str, seconds: float, project: Project) -> T:
    """What `look` finds, as soon as it finds anything; a failure shows what the daemon said."""

    def told() -> str:
        return f"The sensor says: {last_tick(project)}\n{(project.root / 'daemon.log').read_text()[-4000:]}"

    return polling.until(look, what, seconds=seconds, pause=0.5, told=told)
