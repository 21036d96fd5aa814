"""A run that parses, embeds or uploads more than what changed makes every run cost what the first one cost."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.conftest import Project
from tests.end_to_end.documents import corpus_yaml, markdown, sentence, sentence_ja, write_documents
from tests.end_to_end.looking import assert_whole, materialize, platform_of, recorded, succeeded

COUNT = 12
WORK = {
    "documents": ("parsed in this run", "deleted in this run", "touched, content unchanged"),
    "chunks": ("documents cut in this run", "documents removed in this run"),
    "embeddings": ("texts embedded in this run",),
    "vector_index": ("chunks upserted in this run", "chunks deleted in this run"),
}


def work_of(project: Project) -> dict[str, int]:
    """What the newest run did, by the figures of its materialisations."""
    return {
        name: figures[name]
        for stage, names in WORK.items()
        for figures in [recorded(project, f"acme/handbook/{stage}")]
        for name in names
    }


def versions(project: Project) -> dict[str, str]:
    return {stage: recorded(project, f"acme/handbook/{stage}")["version"] for stage in WORK}


def found(project: Project, question: str) -> list[dict[str, Any]]:
    done = succeeded(project.run("llm-assets", "search", "handbook", question, "-k", "3", "--json"))
    return json.loads(done.stdout)


@pytest.fixture
def built(project: Project) -> Project:
    folder = project.write("acme/handbook/defs.yaml", corpus_yaml()).parent
    write_documents(folder / "documents", COUNT)
    succeeded(materialize(project))
    return project


def test_each_run_does_exactly_what_changed(built: Project) -> None:
    first = work_of(built)
    assert first["parsed in this run"] == COUNT
    assert first["texts embedded in this run"] == first["chunks upserted in this run"] > 0
    before = versions(built)

    folder = built.root / "dbt_like_configs" / "acme" / "handbook" / "documents"
    os.utime(folder / "05.json", ns=(1, 1))  # touched, not changed
    succeeded(materialize(built))
    assert work_of(built) == dict.fromkeys(first, 0) | {"touched, content unchanged": 1}
    assert versions(built) == before

    (folder / "new.md").write_text("# New\n\nThe lighthouse keeper counts the gulls.\n")
    (folder / "00.md").write_text(markdown(0).replace(sentence_ja(0), "灯台守は毎朝かもめを数える。"))
    (folder / "02.html").unlink()
    succeeded(materialize(built))
    work = work_of(built)
    assert (work["parsed in this run"], work["deleted in this run"]) == (2, 1)
    assert (work["documents cut in this run"], work["documents removed in this run"]) == (2, 1)
    assert work["texts embedded in this run"] == 2  # of 00.md only the changed passage
    assert work["chunks upserted in this run"] == 2
    assert work["chunks deleted in this run"] == 2  # the old Japanese passage and the deleted document's
    assert versions(built) != before
    assert_whole(platform_of(built))

    assert found(built, "Who counts the gulls?")[0]["uri"] == "documents/new.md"
    assert all(sentence(2) not in passage["text"] for passage in found(built, sentence(2)))
