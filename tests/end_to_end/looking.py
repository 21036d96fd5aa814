"""What the tests look at after a run: what Dagster recorded, and what tables, index and state database hold."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from subprocess import PIPE, STDOUT, CompletedProcess, Popen
from typing import Any

import dagster as dg
import pytest

from llm_assets.corpora import serving
from llm_assets.corpora.chunks import CHUNK_COLUMNS, known_chunks
from llm_assets.corpora.documents import DOCUMENT_COLUMNS, known_documents
from llm_assets.status import corpus_status
from resources.platform import Platform
from resources.profile import TARGET_VARIABLE, Profile
from tests.conftest import Project

QUIET = '{"loggers": {"console": {}}}'
SHOWN_CHARS = 4000  # of a failed command's output
VERSION_TAG = "dagster/data_version"
CLOCKS = {"stamp", "updated_at", "served_at"}  # of the file and of the run: not what was made of it
SAME_VECTOR = 0.9999  # the embedder's numerical class: batches of another make-up round otherwise


def materialize(
    project: Project, selection: str = 'key:"acme/*" and not kind:"file"', **options: Any
) -> CompletedProcess[str]:
    """`dagster asset materialize` with the short console output."""
    command = ("dagster", "asset", "materialize", "-m", "llm_assets.definitions", "--select", selection)
    return project.run(*command, "--config-json", QUIET, **options)


def start(project: Project, selection: str, env: dict[str, str] | None = None) -> Popen[str]:
    """`materialize`, started and not waited for; its output comes through one pipe."""
    command = ("dagster", "asset", "materialize", "-m", "llm_assets.definitions", "--select", selection)
    return project.start(*command, "--config-json", QUIET, env=env, stdout=PIPE, stderr=STDOUT)


def succeeded(done: CompletedProcess[str]) -> CompletedProcess[str]:
    """The run, if it ended well; else its output is the failure's message."""
    said = (done.stdout + done.stderr)[-SHOWN_CHARS:]
    assert done.returncode == 0, f"exit code {done.returncode}\n{said}"
    return done


@contextlib.contextmanager
def instance_of(project: Project, target: str = "dev") -> Iterator[dg.DagsterInstance]:
    """The project's Dagster instance of a target; paths in its dagster.yaml start at the working directory."""
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(project.root):
        patch.setenv(TARGET_VARIABLE, target)
        with dg.DagsterInstance.from_config(str(project.root)) as instance:
            yield instance


def make_dagsters_tables(project: Project) -> None:
    """Two processes that make Dagster's own tables at once fail, in this release."""
    with instance_of(project) as instance:
        instance.get_runs(limit=1)


def recorded(project: Project, key: str, target: str = "dev") -> dict[str, Any]:
    """Metadata of the newest materialisation of an asset, and its data version under `version`."""
    with instance_of(project, target) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(key.split("/")))
    assert event is not None, f"{key} was never materialised"
    assert event.asset_materialization
    values = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    return values | {"version": (event.asset_materialization.tags or {})[VERSION_TAG]}


def runs_of(project: Project, target: str = "dev") -> list[dg.DagsterRun]:
    """The runs that the project's instance knows, newest first."""
    with instance_of(project, target) as instance:
        return list(instance.get_runs())


def failures(project: Project, target: str = "dev") -> dict[str, str]:
    """Asset key to what its failure said, of the newest run."""
    with instance_of(project, target) as instance:
        run = next(iter(instance.get_runs(limit=1)))
        logs = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    found = {}
    for event in (entry.get_dagster_event() for entry in logs):
        told = event.step_failure_data
        found[str(event.step_key).replace("__", "/")] = (
            told.user_failure_data.description or "" if told.user_failure_data else f"NOT PLAIN: {told.error}"
        )
    return found


def platform_of(project: Project, target: str = "dev") -> Platform:
    """What the project's commands work on, seen from here."""
    return Platform(Profile(state_dir=project.root / ".state" / target))


def contents(platform: Platform, tenant: str = "acme", corpus: str = "handbook") -> dict[str, Any]:
    """Everything that a corpus consists of, in an order of its own, without clocks and vectors."""
    tables, index, state = platform.tables(tenant, corpus), platform.index(tenant), platform.state
    served = serving.served(state, tenant, corpus)
    return {
        "documents": _rows(tables.existing("documents"), DOCUMENT_COLUMNS),
        "chunks": _rows(tables.existing("chunks"), CHUNK_COLUMNS),
        "known documents": _known(known_documents(state, tenant, corpus)),
        "known chunks": _known(known_chunks(state, tenant, corpus)),
        "embedded": sorted(vectors(platform, tenant)),
        "served": (served.content, served.rows, served.snapshot.collection) if served else None,
        "index": index.row_digests(served.snapshot) if served else {},
        "status": _without_clocks(asdict(corpus_status(platform, tenant, corpus))),
    }


def vectors(platform: Platform, tenant: str = "acme") -> dict[str, Any]:
    """Text digest to vector, of all embedders of a tenant; a digest that occurs twice is a failure."""
    found: dict[str, Any] = {}
    tables = platform.embeddings(tenant)
    for name in tables.names():
        for batch in tables.existing(name).scan(["text_digest", "vector"]):
            for digest, vector in zip(*(batch.column(n).to_pylist() for n in ("text_digest", "vector")), strict=True):
                assert digest not in found, f"{name} holds the text {digest} twice"
                found[digest] = vector
    return found


def assert_equal_contents(left: Platform, right: Platform, **which: str) -> None:
    """Two platforms hold the same corpus: rows, served index, and vectors within the numerical class."""
    mine, other = contents(left, **which), contents(right, **which)
    for part, value in mine.items():
        assert value == other[part], f"{part} differ"
    ours, theirs = (vectors(platform, which.get("tenant", "acme")) for platform in (left, right))
    worst = min((_cosine(ours[key], theirs[key]) for key in ours), default=1.0)
    assert worst >= SAME_VECTOR


def assert_whole(platform: Platform, tenant: str = "acme", corpus: str = "handbook") -> None:
    """No row of any table is there twice, and every chunk is embedded and served."""
    found = contents(platform, tenant, corpus)
    for part, key in (("documents", "doc_id"), ("chunks", "chunk_id")):
        ids = [row[key] for row in found[part]]
        assert len(ids) == len(set(ids)), f"{part} are there twice"
    assert {row["text_digest"] for row in found["chunks"]} <= set(found["embedded"])
    assert found["index"] == {row["chunk_id"]: row["row_digest"] for row in found["chunks"]}
    assert found["served"][1] == len(found["chunks"])


def files_with(folder: Path, text: str) -> list[Path]:
    """The files below a folder whose bytes hold a text in UTF-8; links are not followed."""
    needle = text.encode()
    return [
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if not Path(parent, name).is_symlink() and needle in Path(parent, name).read_bytes()
    ]


def _rows(table: Any, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = [row for batch in table.scan(columns) for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: str(row[columns[0]]))


def _known(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {key: _without_clocks(row) for key, row in rows.items()}


def _without_clocks(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in CLOCKS}


def _cosine(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))  # they are unit vectors
