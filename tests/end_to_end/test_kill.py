"""A run that is killed at any moment must leave nothing doubled, lost or half served once it was run again.

LLM_ASSETS_KILLS and LLM_ASSETS_SEED set how many kills there are and which moments they take.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from llm_assets.corpora import serving
from llm_assets.corpora.chunks import chunks_version
from llm_assets.corpora.documents import documents_version
from resources.platform import Platform
from resources.profile import Profile
from tests.conftest import CHECKOUT, Project
from tests.end_to_end.documents import corpus_yaml, markdown, sentence_ja, write_documents
from tests.end_to_end.killed_chain import build, forget_one
from tests.end_to_end.killing import Moment, after, after_commits, commits, kill_at, new_mark
from tests.end_to_end.looking import (
    assert_equal_contents,
    assert_whole,
    files_with,
    materialize,
    platform_of,
    recorded,
    start,
    succeeded,
)

COUNT = 25
SEED = int(os.environ.get("LLM_ASSETS_SEED", "1"))
KILLS = int(os.environ.get("LLM_ASSETS_KILLS", "4"))
LONG_KILLS = int(os.environ.get("LLM_ASSETS_KILLS", "8"))
EVERY_REAL = 4  # each fourth kill is one of the real command; the others are of the chain alone, which starts faster


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody killed.

    Attributes:
        start: the state folder that it began from, None for an empty one.
        state, folder: its state folder and what it has read.
        seconds, commits: how long it took, and how many transactions of tables.
    """

    start: Path | None
    state: Path
    folder: Path
    seconds: float
    commits: int

    @property
    def platform(self) -> Platform:
        return Platform(Profile(state_dir=self.state))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> list[Undisturbed]:
    """The first run over some documents, and the run after some of them have changed."""
    root = tmp_path_factory.mktemp("undisturbed")
    write_documents(root / "before" / "documents", COUNT)
    shutil.copytree(root / "before", root / "after")
    changed = root / "after" / "documents"
    for number in (0, 7, 14):
        (changed / f"{number:02}.md").write_text(markdown(number + 100))
    for number in (2, 9):
        (changed / f"{number:02}.html").unlink()
    (changed / "new.md").write_text(markdown(200))

    first = measured(None, new_state(root / "first", None, model_cache), root / "before")
    second = measured(first.state, new_state(root / "second", first.state, model_cache), root / "after")
    return [first, second]


def measured(start: Path | None, state: Path, folder: Path) -> Undisturbed:
    before, process = commits(state), start_chain(state, folder, new_mark())
    began = time.monotonic()
    assert process.wait(120) == 0
    return Undisturbed(start, state, folder, time.monotonic() - began, commits(state) - before)


def new_state(state: Path, start: Path | None, model_cache: Path) -> Path:
    """A state folder, empty or a copy of another."""
    if start:
        shutil.copytree(start, state, symlinks=True)
    else:
        state.mkdir()
        (state / "cache").symlink_to(model_cache)
    return state


def start_chain(state: Path, folder: Path, mark: dict[str, str], *uri: str) -> subprocess.Popen[str]:
    """The chain, or the forgetting of a document, in a process of its own; its work begins now."""
    command = [sys.executable, "-m", "tests.end_to_end.killed_chain", str(state), str(folder), *uri]
    process = subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | mark, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def served_rows(platform: Platform) -> dict[str, str]:
    """What a search would be answered from."""
    served = serving.served(platform.state, "acme", "handbook")
    return platform.index("acme").row_digests(served.snapshot) if served else {}


def kill_the_chain(undisturbed: Undisturbed, state: Path, moment: Moment, mark: dict[str, str], told: str) -> None:
    """Kill it, see that nothing half-built is served, run it again, and compare with the undisturbed run."""
    killed = Platform(Profile(state_dir=state))
    before = served_rows(killed)
    kill_at(start_chain(state, undisturbed.folder, mark), moment, mark)
    assert served_rows(killed) in (before, served_rows(undisturbed.platform)), told
    finished = build(state, undisturbed.folder)
    assert_whole(finished)
    assert_equal_contents(finished, undisturbed.platform)


def kill_many(runs: list[Undisturbed], folder: Path, model_cache: Path, kills: int) -> None:
    """Kills spread over the runs: by the clock, start and end included, and right after a transaction."""
    moments = random.Random(SEED)
    for number in range(kills):
        run = runs[number % 2]
        state = new_state(folder / f"kill-{number}", run.start, model_cache)
        share = (number + moments.random()) / kills
        if number % 3 == 2:
            told, moment = f"commit {int(share * run.commits)}", after_commits(state, int(share * run.commits))
        else:
            told, moment = f"{share:.2f} of the time", after(share * run.seconds * 1.05)
        kill_the_chain(run, state, moment, new_mark(), f"seed {SEED}, kill {number}: {told}")
        shutil.rmtree(state)


def kill_commands(project: Project, undisturbed: Undisturbed, kills: int) -> None:
    """Kill the real command after some of its transactions, every time in the same project, then let it end."""
    folder = project.write("acme/handbook/defs.yaml", corpus_yaml()).parent
    shutil.copytree(undisturbed.folder / "documents", folder / "documents")
    state, moments = project.root / ".state" / "dev", random.Random(SEED)
    for _ in range(kills):
        mark = new_mark()
        kill_at(start(project, 'key:"acme/*"', mark), after_commits(state, moments.randint(1, 3)), mark)
    succeeded(materialize(project))
    assert_whole(platform_of(project))
    assert_equal_contents(platform_of(project), undisturbed.platform)
    state = undisturbed.platform.state
    for stage, version in (("documents", documents_version), ("chunks", chunks_version)):
        assert recorded(project, f"acme/handbook/{stage}")["version"] == version(state, "acme", "handbook")


def kill_forgetting(run: Undisturbed, folder: Path, model_cache: Path, kills: int) -> None:
    """Kill the forgetting of a document after some transaction: what is served can be read, and it can be ended."""
    moments, uri, secret = random.Random(SEED), "documents/01.txt", sentence_ja(1)
    state = new_state(folder / "forgetting", run.state, model_cache)
    platform = Platform(Profile(state_dir=state))
    for _ in range(kills):
        mark = new_mark()
        kill_at(start_chain(state, run.folder, mark, uri), after_commits(state, moments.randint(0, 4)), mark)
        assert served_rows(platform)
    forget_one(state, uri)
    assert files_with(run.state / "tenants", secret), "not stored plainly: this test would prove nothing"
    assert not files_with(state / "tenants", secret)
    assert_whole(build(state, run.folder))
    assert not files_with(state / "tenants", secret)


def test_a_killed_chain_that_runs_again_ends_as_if_nothing_had_happened(
    undisturbed: list[Undisturbed], tmp_path: Path, model_cache: Path
) -> None:
    kill_many(undisturbed, tmp_path, model_cache, KILLS - KILLS // EVERY_REAL)


def test_a_killed_command_that_runs_again_ends_as_if_nothing_had_happened(
    undisturbed: list[Undisturbed], project: Project
) -> None:
    kill_commands(project, undisturbed[0], max(1, KILLS // EVERY_REAL))


def test_a_killed_forgetting_is_finished_by_another(
    undisturbed: list[Undisturbed], tmp_path: Path, model_cache: Path
) -> None:
    kill_forgetting(undisturbed[0], tmp_path, model_cache, max(1, KILLS // EVERY_REAL))


@pytest.mark.long
def test_many_killed_forgettings(undisturbed: list[Undisturbed], tmp_path: Path, model_cache: Path) -> None:
    kill_forgetting(undisturbed[0], tmp_path, model_cache, LONG_KILLS // EVERY_REAL)


@pytest.mark.long
def test_many_killed_chains(undisturbed: list[Undisturbed], tmp_path: Path, model_cache: Path) -> None:
    kill_many(undisturbed, tmp_path, model_cache, LONG_KILLS - LONG_KILLS // EVERY_REAL)


@pytest.mark.long
def test_many_killed_commands(undisturbed: list[Undisturbed], project: Project) -> None:
    kill_commands(project, undisturbed[0], LONG_KILLS // EVERY_REAL)
