"""From a file's arrival to its passage being found by search, with the real daemon: nobody presses a button.

    python -m benchmarks.reaction [--repeats 5]

A copy of the project with one corpus runs `dagster-daemon`. Each repeat drops a document with a word of its own and
asks for it, as `llm-assets search` does, until it comes first.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common import report
from tests.conftest import Project, copy_project

if TYPE_CHECKING:
    import dagster as dg

GOAL = 60.0  # seconds, the median
DEADLINE = 300.0
POLL = 0.25
TARGET = "prod"  # whose state_dir an environment variable names
CORPUS = """
type: llm_assets.components.Corpus
attributes:
  name: notes
  source: {path: documents}
"""
WORDS = ("quokka", "numbat", "bilby", "potoroo", "dunnart", "pademelon", "bettong", "kowari", "ningaui", "antechinus")


def main() -> None:
    """Start the daemon, drop the documents one by one, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, choices=range(1, len(WORDS)))
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder) / "project")
        project.write("acme/notes/defs.yaml", CORPUS)
        os.environ["LLM_ASSETS_STATE_DIR"] = str(project.root / ".state" / "dev")  # this process searches there
        daemon = _daemon(project)
        try:
            first = _arrival(project, WORDS[0])  # makes the tables, and exports the embedder
            found = [_arrival(project, word) for word in WORDS[1 : repeats + 1]]
        finally:
            os.killpg(daemon.pid, signal.SIGTERM)
            daemon.wait(60)
    totals = [one["seconds"] for one in found]
    details: dict[str, Any] = {
        "worst_seconds": max(totals),
        "first_seconds": first["seconds"],
        **{name: round(statistics.median(one[name] for one in found), 1) for name in found[0] if name != "seconds"},
        "each": totals,
    }
    median = round(statistics.median(totals), 1)
    report("reaction", median, "s, median from arrival to found", f"<= {GOAL:.0f}", median <= GOAL, details)


def _daemon(project: Project) -> subprocess.Popen[str]:
    """With a log of its own; its process group holds the code server and the runs too."""
    with (project.root / "daemon.log").open("w") as log:
        return project.start("dagster-daemon", "run", "-w", "workspace.yaml", stdout=log, stderr=log)


def _arrival(project: Project, word: str) -> dict[str, float]:
    """Drop a document about `word`; the seconds until it is found, and of each part of the way."""
    arrived = time.time()
    project.write(f"acme/notes/documents/{word}.md", f"# The {word}\n\nA {word} sleeps by day and eats at night.\n")
    while not _finds(word):
        if time.time() - arrived > DEADLINE:
            raise TimeoutError(f"'{word}' was not found within {DEADLINE:.0f} s: see daemon.log")
        time.sleep(POLL)
    found = time.time()
    run = _newest_run(project)
    created = run.create_timestamp.timestamp()
    parts = {
        "arrival_to_run_requested": created - arrived,
        "requested_to_started": (run.start_time or found) - created,
        "started_to_found": found - (run.start_time or found),
    }
    print(f"{word}: found after {found - arrived:.1f} s: " + ", ".join(f"{k} {v:.1f}" for k, v in parts.items()))
    return {"seconds": round(found - arrived, 1), **{name: round(value, 1) for name, value in parts.items()}}


def _finds(word: str) -> bool:
    """Whether the served index answers with the document; asked in this process: it costs milliseconds."""
    from llm_assets.searching import SearchError, search

    try:
        passages = search("acme/notes", f"What does the {word} eat?", k=1, target=TARGET)
    except SearchError:
        return False
    return any(word in passage.uri for passage in passages)


def _newest_run(project: Project) -> dg.RunRecord:
    import dagster as dg

    here = Path.cwd()
    os.chdir(project.root)  # paths in dagster.yaml start at the working directory
    try:
        with dg.DagsterInstance.from_config(str(project.root)) as instance:
            return instance.get_run_records(limit=1)[0]
    finally:
        os.chdir(here)


if __name__ == "__main__":
    main()
