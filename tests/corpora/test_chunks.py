"""The chunks table follows the documents table: only what changed is cut, and nothing else stays."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_assets.corpora.chunks import ChunkReport, chunks_table, chunks_version, cut, known_chunks
from llm_assets.corpora.documents import ingest, remove_documents
from llm_assets.corpora.opening import open_chunker, open_source, parse_options
from llm_assets.corpora.settings import CorpusSpec
from resources.digests import digest
from resources.platform import Platform
from resources.profile import Profile
from resources.state import State

SPAWN = multiprocessing.get_context("spawn")
LONG = "# Leave\n\n" + " ".join(f"Rule {number}: leave is granted on request." for number in range(60))
JAPANESE = "# 休暇規程\n\n" + "年次有給休暇は、入社の日から六か月を経過した者に与える。" * 20


class Corpus:
    """A folder of documents, its documents table and its chunks table."""

    def __init__(self, platform: Platform, spec: CorpusSpec) -> None:
        self.platform, self.spec = platform, spec
        (spec.folder / "documents").mkdir(exist_ok=True)

    def write(self, name: str, text: str) -> None:
        (self.spec.folder / "documents" / name).write_text(text)

    def ingest(self) -> None:
        ingest(self.platform, self.spec, open_source(self.spec), parse_options(self.spec), workers=1)

    def cut(self) -> ChunkReport:
        return cut(self.platform, self.spec, open_chunker(self.platform, self.spec))

    def rows(self) -> list[dict[str, Any]]:
        table = chunks_table(self.platform, self.spec.tenant, self.spec.name)
        columns = [
            "chunk_id",
            "doc_id",
            "uri",
            "ordinal",
            "text",
            "text_digest",
            "row_digest",
            "language",
            "headings",
        ]
        rows = [row for batch in table.scan(columns) for row in batch.to_pylist()]
        assert len({row["chunk_id"] for row in rows}) == len(rows)
        return sorted(rows, key=lambda row: (row["uri"], row["ordinal"]))

    def files(self) -> set[str]:
        return {row["uri"].removeprefix("documents/") for row in self.rows()}

    def version(self) -> str:
        return chunks_version(self.platform.state, self.spec.tenant, self.spec.name)


@pytest.fixture
def corpus(platform: Platform, tmp_path: Path, make_corpus: Callable[..., CorpusSpec]) -> Corpus:
    corpus = Corpus(platform, make_corpus(tmp_path, chunk={"max_tokens": 64}))
    corpus.write("a.md", LONG)
    corpus.write("b.txt", "The notice period is three months.")
    corpus.write("規程.md", JAPANESE)
    corpus.ingest()
    corpus.cut()
    return corpus


def test_every_document_is_cut_into_numbered_chunks_with_their_place(corpus: Corpus) -> None:
    rows = corpus.rows()
    assert corpus.files() == {"a.md", "b.txt", "規程.md"}
    own = [row for row in rows if row["uri"].endswith("a.md")]
    assert [row["ordinal"] for row in own] == list(range(len(own)))
    assert len(own) > 5
    assert own[3]["headings"] == ["Leave"]
    assert own[3]["text_digest"] == digest(own[3]["text"])
    assert {row["language"] for row in rows} == {"en", "ja"}
    known = known_chunks(corpus.platform.state, "acme", "handbook")
    assert sum(row["chunks"] for row in known.values()) == len(rows)


def test_nothing_changed_cuts_nothing(corpus: Corpus) -> None:
    rows, version = corpus.rows(), corpus.version()
    assert corpus.cut() == ChunkReport()
    assert (corpus.rows(), corpus.version()) == (rows, version)


def test_a_changed_a_new_and_a_deleted_document_are_all_that_is_done(corpus: Corpus) -> None:
    before, version = {row["chunk_id"]: row for row in corpus.rows()}, corpus.version()
    corpus.write("b.txt", "The notice period is six months, from the end of a month.")
    corpus.write("c.txt", "A new one.")
    (corpus.spec.folder / "documents" / "規程.md").unlink()
    corpus.ingest()
    report = corpus.cut()
    assert (report.documents_cut, report.documents_removed, report.chunks_written) == (2, 1, 2)
    assert corpus.files() == {"a.md", "b.txt", "c.txt"}
    own = [row for row in corpus.rows() if row["uri"].endswith("a.md")]
    assert own == [before[row["chunk_id"]] for row in own], "an unchanged document keeps its chunks and their ids"
    assert corpus.version() != version


def test_a_shorter_document_leaves_none_of_its_old_chunks(corpus: Corpus) -> None:
    corpus.write("a.md", "# Leave\n\nOnly this.")
    corpus.ingest()
    corpus.cut()
    assert [row["text"] for row in corpus.rows() if row["uri"].endswith("a.md")][-1].endswith("Only this.")
    assert len([row for row in corpus.rows() if row["uri"].endswith("a.md")]) == 1


def test_other_chunk_settings_cut_everything_again(corpus: Corpus, make_corpus: Callable[..., CorpusSpec]) -> None:
    count, version = len(corpus.rows()), corpus.version()
    corpus.spec = make_corpus(corpus.spec.folder, chunk={"max_tokens": 32})
    assert corpus.cut().documents_cut == 3
    assert len(corpus.rows()) > count
    corpus.spec = make_corpus(corpus.spec.folder, chunk={"max_tokens": 64})
    corpus.cut()
    assert corpus.version() == version, "the version is that of the content, not of the way to it"


def cut_and_die(state_dir: Path, spec: CorpusSpec) -> None:
    """Be killed after the table was written, just before the state database is."""
    platform = Platform(Profile(state_dir=state_dir))
    chunker = open_chunker(platform, spec)
    State.put = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    cut(platform, spec, chunker)


def test_a_run_killed_between_table_and_state_leaves_nothing_that_the_next_does_not_put_right(corpus: Corpus) -> None:
    corpus.write("gone.txt", "Cut by the killed run, then deleted.")
    corpus.write("b.txt", "Changed, and cut by the killed run.")
    corpus.ingest()
    process = SPAWN.Process(target=cut_and_die, args=(corpus.platform.profile.state_dir, corpus.spec))
    process.start()
    process.join(90)
    assert process.exitcode == -signal.SIGKILL
    assert "gone.txt" in corpus.files(), "it was killed before it wrote the table: this test would prove nothing"
    gone = next(row["doc_id"] for row in corpus.rows() if row["uri"].endswith("gone.txt"))
    remove_documents(corpus.platform.state, "acme", "handbook", [gone])
    corpus.cut()
    assert corpus.files() == {"a.md", "b.txt", "規程.md"}
    assert set(known_chunks(corpus.platform.state, "acme", "handbook")) == {row["doc_id"] for row in corpus.rows()}
