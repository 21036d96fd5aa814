"""Two runs of one corpus at once must not do the work twice, double a row, or leave a mixture."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, sentence, sentence_ja, write_documents
from tests.end_to_end.looking import (
    assert_whole,
    contents,
    files_with,
    instance_of,
    make_dagsters_tables,
    materialize,
    platform_of,
    start,
    succeeded,
)

COUNT = 20
HANDBOOK = 'key:"acme/handbook/*" and not kind:"file"'


@pytest.fixture
def corpus(project: Project) -> Project:
    folder = project.write("acme/handbook/defs.yaml", corpus_yaml()).parent
    write_documents(folder / "documents", COUNT)
    make_dagsters_tables(project)
    return project


def figures(project: Project, stage: str, name: str) -> list[Any]:
    """A figure of every materialisation of a stage."""
    with instance_of(project) as instance:
        found = instance.fetch_materializations(dg.AssetKey(["acme", "handbook", stage]), limit=10).records
    return [record.asset_materialization.metadata[name].value for record in found if record.asset_materialization]


def test_two_runs_at_once_both_succeed_and_share_the_work(corpus: Project) -> None:
    runs = [start(corpus, HANDBOOK) for _ in range(2)]
    for run in runs:
        told, _ = run.communicate(timeout=180)
        assert run.returncode == 0, told
    assert_whole(platform_of(corpus))
    assert sorted(figures(corpus, "documents", "parsed in this run")) == [0, COUNT]
    assert sum(figures(corpus, "embeddings", "texts embedded in this run")) == len(
        contents(platform_of(corpus))["embedded"]
    )


def test_a_document_that_is_forgotten_during_a_run_does_not_come_back(corpus: Project) -> None:
    succeeded(materialize(corpus))
    corpus.write("acme/handbook/documents/new.md", "# New\n\nThis makes the run work.\n")
    assert files_with(corpus.root / ".state", sentence_ja(1)), "not stored plainly: this test would prove nothing"
    run = start(corpus, HANDBOOK)
    forgotten = [corpus.run("llm-assets", "forget", f"documents/{name}") for name in ("01.txt", "06.pdf")]
    told, _ = run.communicate(timeout=180)
    assert run.returncode == 0, told
    for done in forgotten:
        succeeded(done)
    assert not files_with(corpus.root / ".state", sentence_ja(1))
    assert not files_with(corpus.root / ".state", sentence(6))
    assert_whole(platform_of(corpus))
    assert len(contents(platform_of(corpus))["documents"]) == COUNT - 1
