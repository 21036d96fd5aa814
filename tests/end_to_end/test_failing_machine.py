"""A full disk, a broken state database or a killed child must be told plainly, and lose nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_assets.corpora import serving
from resources.platform import Platform
from resources.profile import Profile
from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, sentence, write_documents
from tests.end_to_end.killing import DEADLINE_SECONDS, command_of, marked, new_mark
from tests.end_to_end.looking import assert_whole, contents, failures, materialize, platform_of, start, succeeded
from tests.polling import until

COUNT = 5
SMALL_MEGABYTES = 12
BIG_FILES = 10  # together more than the room that is left
PROFILES = "default_target: dev\ntargets:\n  dev: {{state_dir: .state/dev}}\n  small: {{state_dir: '{}'}}\n"


@pytest.fixture
def corpus(project: Project) -> Project:
    folder = project.write("acme/handbook/defs.yaml", corpus_yaml()).parent
    write_documents(folder / "documents", COUNT)
    return project


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_MEGABYTES}m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode and os.getuid():
        pytest.skip(f"only root may mount a small file system: {done.stderr}")
    assert done.returncode == 0, done.stderr
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # this process still has the database open


def fill(folder: Path, leave_bytes: int) -> Path:
    """Take the room of a file system, but for some bytes."""
    free = os.statvfs(folder)
    filler = folder / "filler"
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize - leave_bytes))
    return filler


def test_a_full_disk_is_told_and_after_making_room_the_run_is_finished(
    corpus: Project, small_disk: Path, model_cache: Path
) -> None:
    corpus.write("profiles.yml", PROFILES.format(small_disk))
    (small_disk / "cache").symlink_to(model_cache)
    platform, env = Platform(Profile(state_dir=small_disk)), {"LLM_ASSETS_TARGET": "small"}
    succeeded(materialize(corpus, env=env))
    before = contents(platform)

    for number in range(BIG_FILES):
        corpus.write(f"acme/handbook/documents/big-{number}.md", f"# Big {number}\n\n" + sentence(number) * 150)
    filler = fill(small_disk, leave_bytes=60_000)
    done = materialize(corpus, env=env)
    assert done.returncode == 1
    told = failures(corpus, "small")
    assert told, done.stderr
    assert all("disk is full" in text for text in told.values()), told
    served = serving.served(platform.state, "acme", "handbook")
    assert served
    assert platform.index("acme").row_digests(served.snapshot) == before["index"]

    filler.unlink()
    succeeded(materialize(corpus, env=env))
    assert_whole(platform)
    assert len(contents(platform)["documents"]) == COUNT + BIG_FILES


def test_a_killed_embedder_is_told_and_the_next_run_finishes(corpus: Project) -> None:
    mark = new_mark()
    run = start(corpus, 'key:"acme/*"', mark)
    workers: list[int] = []

    def working() -> bool:
        workers[:] = [pid for pid in marked(mark) if "-m llm_assets.training.embedding_worker" in command_of(pid)]
        workers[:] = [pid for pid in workers if "process_supervisor" not in command_of(pid)]
        return bool(workers) or run.poll() is not None

    until(working, "an embedder is started", seconds=DEADLINE_SECONDS)
    os.kill(workers[0], signal.SIGKILL)
    run.communicate(timeout=120)
    assert run.returncode == 1
    told = failures(corpus)
    assert list(told) == ["acme/handbook/embeddings"]
    assert "ended with code 137" in told["acme/handbook/embeddings"]
    succeeded(materialize(corpus))
    assert_whole(platform_of(corpus))


def test_a_broken_state_database_is_named_and_left_as_it_is(corpus: Project) -> None:
    file = corpus.root / ".state" / "dev" / "state.db"
    file.write_bytes(b"this is not a database" * 100)
    assert materialize(corpus).returncode == 1
    assert all(str(file) in text and "NOT PLAIN" not in text for text in failures(corpus).values())
    status = corpus.run("llm-assets", "status")
    assert status.returncode == 1
    assert str(file) in status.stderr
    assert "Traceback" not in status.stderr
    assert file.read_bytes() == b"this is not a database" * 100


def test_a_state_database_that_stays_locked_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from resources import databases, state, state_schema

    monkeypatch.setattr(databases, "BUSY_SECONDS", 0.2)
    first, second = (Platform(Profile(state_dir=tmp_path)).state for _ in range(2))
    row: dict[str, Any] = {"tenant": "acme", "kind": "index", "name": "handbook", "pinned_at": 1.0}
    with first.write(), pytest.raises(state.StateError, match=r"state\.db.*locked"):
        second.put(state_schema.pins, [row])
    second.put(state_schema.pins, [row])  # and then it goes on
    assert serving.is_pinned(first, "acme", "index", "handbook")
