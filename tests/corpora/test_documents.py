"""Files become rows, and only what changed is parsed; whatever happens, no text is lost, doubled or brought back."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from llm_assets.corpora.documents import (
    EmptySourceError,
    IngestReport,
    decode_elements,
    document_id,
    documents_table,
    documents_version,
    ingest,
    known_documents,
)
from llm_assets.corpora.opening import open_source, parse_options
from llm_assets.corpora.parsing import ParseOptions
from llm_assets.corpora.settings import CorpusSpec
from resources import state_schema as schema
from resources.platform import Platform
from resources.sources import Source, SourceError, SourceFile
from resources.state import State

SPAWN = multiprocessing.get_context("spawn")
MakeCorpus = Callable[..., CorpusSpec]
BROKEN_PDF = b"%PDF-1.7\nthis is no PDF"


@dataclass(frozen=True)
class ListedEarlier(Source):
    """A source whose files may have changed since they were listed."""

    source: Source
    files: tuple[SourceFile, ...]

    def list(self) -> list[SourceFile]:
        return [*self.files]

    def read(self, file: SourceFile, max_bytes: int) -> bytes:
        return self.source.read(file, max_bytes)


class Corpus:
    """A folder of documents and the platform that it is read into."""

    def __init__(self, platform: Platform, spec: CorpusSpec) -> None:
        self.platform, self.spec = platform, spec
        self.folder = spec.folder / "documents"
        self.folder.mkdir()

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file; its time always moves on, however coarse the clock of the file system is."""
        file = self.folder / name
        before = file.stat().st_mtime_ns if file.exists() else 0
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        if file.stat().st_mtime_ns <= before:
            os.utime(file, ns=(before + 1_000_000, before + 1_000_000))

    def touch(self, name: str) -> None:
        moved_on = (self.folder / name).stat().st_mtime_ns + 1_000_000_000
        os.utime(self.folder / name, ns=(moved_on, moved_on))

    def ingest(self, options: ParseOptions | None = None, **arguments: Any) -> IngestReport:
        options = options or parse_options(self.spec)
        return ingest(self.platform, self.spec, open_source(self.spec), options, workers=1, **arguments)

    def rows(self) -> dict[str, dict[str, Any]]:
        """File name to row of the table; fails on two rows of one document."""
        table = documents_table(self.platform, self.spec.tenant, self.spec.name)
        columns = ["doc_id", "uri", "status", "code", "reason", "elements", "parse_key", "language", "chars"]
        rows = [row for batch in table.scan(columns) for row in batch.to_pylist()]
        found = {row["uri"].removeprefix("documents/"): row for row in rows}
        assert len(found) == len(rows)
        return found

    def texts(self) -> dict[str, str]:
        """File name to text."""
        return {
            name: " ".join(element.text for element in decode_elements(row["elements"]))
            for name, row in self.rows().items()
        }

    def version(self) -> str:
        return documents_version(self.platform.state, self.spec.tenant, self.spec.name)

    def known(self) -> dict[str, dict[str, Any]]:
        rows = known_documents(self.platform.state, self.spec.tenant, self.spec.name).values()
        return {row["uri"].removeprefix("documents/"): row for row in rows}


@pytest.fixture
def corpus(platform: Platform, tmp_path: Path, make_corpus: MakeCorpus) -> Corpus:
    return Corpus(platform, make_corpus(tmp_path))


@pytest.fixture
def three(corpus: Corpus) -> Corpus:
    """A corpus of three documents, read."""
    corpus.write("a.md", "# Leave\n\nTwenty days of leave a year.")
    corpus.write("b.txt", "The notice period is three months.")
    corpus.write("規程.md", "# 休暇規程\n\n年次有給休暇は二十日とする。")
    assert corpus.ingest().parsed == 3
    return corpus


def test_files_become_rows_with_text_and_language(three: Corpus) -> None:
    texts = three.texts()
    assert "Twenty days of leave a year." in texts["a.md"]
    assert "年次有給休暇は二十日とする。" in texts["規程.md"]
    assert {name: row["language"] for name, row in three.rows().items()} == {
        "a.md": "en",
        "b.txt": "en",
        "規程.md": "ja",
    }
    assert set(three.known()) == set(texts)


def test_nothing_changed_parses_nothing(three: Corpus) -> None:
    version = three.version()
    report = three.ingest()
    assert (report.listed, report.parsed, report.same_content, report.deleted) == (3, 0, 0, 0)
    assert three.version() == version


def test_a_new_a_changed_and_a_deleted_file_are_all_that_is_done(three: Corpus) -> None:
    version = three.version()
    three.write("c.txt", "A new policy.")
    three.write("b.txt", "The notice period is six months.")
    (three.folder / "a.md").unlink()
    report = three.ingest()
    assert (report.parsed, report.deleted) == (2, 1)
    texts = three.texts()
    assert set(texts) == {"b.txt", "c.txt", "規程.md"} == set(three.known())
    assert "six months" in texts["b.txt"]
    assert three.version() != version


def test_a_touched_file_is_read_but_not_parsed_and_the_version_stays(three: Corpus) -> None:
    version = three.version()
    three.touch("a.md")
    report = three.ingest()
    assert (report.parsed, report.same_content) == (0, 1)
    assert three.version() == version
    assert three.ingest().same_content == 0


def test_the_version_is_that_of_the_content_not_of_the_way_to_it(three: Corpus) -> None:
    version, text = three.version(), (three.folder / "b.txt").read_text()
    three.write("b.txt", "Something else.")
    three.ingest()
    three.write("b.txt", text)
    three.ingest()
    assert three.version() == version


def test_a_broken_file_is_quarantined_with_its_reason_and_the_rest_goes_on(three: Corpus) -> None:
    three.write("broken.pdf", BROKEN_PDF)
    three.write("empty.txt", "")
    three.write("good.txt", "Read all the same.")
    report = three.ingest()
    assert report.parsed == 1
    rows = three.rows()
    assert {name: row["code"] for name, row in rows.items() if row["status"] == "quarantined"} == {
        "broken.pdf": "corrupt",
        "empty.txt": "empty",
    }
    assert rows["broken.pdf"]["reason"] == three.known()["broken.pdf"]["reason"]
    assert three.texts()["broken.pdf"] == ""
    assert three.ingest().quarantined == [], "a file that did not change is not tried again"


def test_a_file_that_breaks_keeps_its_last_good_text_and_is_quarantined(three: Corpus) -> None:
    version, text = three.version(), three.texts()["a.md"]
    three.write("a.md", "")
    assert [uri for uri, _ in three.ingest().quarantined] == ["documents/a.md"]
    assert three.texts()["a.md"] == text
    assert three.rows()["a.md"]["status"] == three.known()["a.md"]["status"] == "quarantined"
    assert three.version() == version, "the text is the same: nothing downstream is to be done"
    three.write("a.md", "Mended.")
    assert three.ingest().parsed == 1
    assert three.texts()["a.md"] == "Mended."
    assert three.rows()["a.md"]["code"] is None


def test_a_source_that_lists_nothing_is_taken_for_an_accident(three: Corpus) -> None:
    for file in three.folder.iterdir():
        file.unlink()
    with pytest.raises(EmptySourceError, match=r"3 documents came from it; nothing was deleted.*allow_empty: true"):
        three.ingest()
    assert len(three.rows()) == len(three.known()) == 3


def test_an_empty_source_that_is_meant_deletes_everything(three: Corpus, make_corpus: MakeCorpus) -> None:
    for file in three.folder.iterdir():
        file.unlink()
    three.spec = make_corpus(three.spec.folder, source={"path": "documents", "allow_empty": True})
    assert three.ingest().deleted == 3
    assert three.rows() == three.known() == {}


def test_a_source_that_is_missing_changes_nothing(three: Corpus) -> None:
    version = three.version()
    shutil.rmtree(three.folder)
    with pytest.raises(SourceError, match="documents"):
        three.ingest()
    assert len(three.rows()) == 3
    assert three.version() == version


def test_what_was_forgotten_stays_out_though_its_file_is_there(three: Corpus) -> None:
    doc_id = document_id("documents/a.md")
    key = {"tenant": three.spec.tenant, "corpus": three.spec.name, "doc_id": doc_id}
    three.platform.state.put(schema.forgotten, [{**key, "uri": "documents/a.md", "forgotten_at": 0.0}])
    three.write("a.md", "It is back, and changed.")
    report = three.ingest(reparse=True)
    assert report.forgotten == 1
    assert set(three.rows()) == set(three.known()) == {"b.txt", "規程.md"}


def test_reparse_parses_every_file_and_gives_the_same(three: Corpus) -> None:
    version, rows = three.version(), three.rows()
    assert three.ingest(reparse=True).parsed == 3
    assert three.rows() == rows
    assert three.version() == version


def test_another_parser_parses_every_file_again(three: Corpus) -> None:
    assert three.ingest(replace(parse_options(three.spec), strategy="auto")).parsed == 3


def test_a_limit_that_is_raised_lets_in_what_it_kept_out(corpus: Corpus) -> None:
    corpus.write("a.txt", "A short text.")
    corpus.write("large.txt", "A long text. " * 1000)
    options = parse_options(corpus.spec)
    small = replace(options, max_bytes=5_000)
    assert [uri for uri, _ in corpus.ingest(small).quarantined] == ["documents/large.txt"]
    assert corpus.ingest(small).quarantined == [], "the same limits give the same result: not tried again"
    assert corpus.ingest(options).parsed == 1
    assert "A long text." in corpus.texts()["large.txt"]
    assert corpus.ingest(small).parsed == 0, "what was read stays"


def test_a_file_that_vanished_while_it_was_read_is_tried_again_when_it_is_back(three: Corpus, tmp_path: Path) -> None:
    three.write("c.txt", "Here, away, and here again.")
    aside, source = tmp_path / "c.txt", open_source(three.spec)
    listed = ListedEarlier(source, tuple(source.list()))
    (three.folder / "c.txt").rename(aside)
    report = ingest(three.platform, three.spec, listed, parse_options(three.spec), workers=1)
    assert len(report.quarantined) == 1
    assert three.rows()["c.txt"]["code"] == "vanished"
    aside.rename(three.folder / "c.txt")
    assert three.ingest().parsed == 1
    assert three.texts()["c.txt"] == "Here, away, and here again."


def test_two_corpora_of_one_name_in_two_tenants_do_not_touch_each_other(
    three: Corpus, tmp_path: Path, make_corpus: MakeCorpus
) -> None:
    (tmp_path / "other").mkdir()
    other = Corpus(three.platform, make_corpus(tmp_path / "other", tenant="beta"))
    other.write("a.md", "Another tenant's text.")
    other.ingest()
    assert set(other.rows()) == {"a.md"}
    assert len(three.rows()) == 3
    (three.folder / "a.md").unlink()
    three.ingest()
    assert other.texts() == {"a.md": "Another tenant's text."}


def ingest_and_die(state_dir: Path, spec: CorpusSpec) -> None:
    """Be killed after the table was written, just before the state database is."""
    from resources.profile import Profile

    State.put = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    platform = Platform(Profile(state_dir=state_dir))
    ingest(platform, spec, open_source(spec), parse_options(spec), workers=1)


def killed_run(corpus: Corpus) -> None:
    process = SPAWN.Process(target=ingest_and_die, args=(corpus.platform.profile.state_dir, corpus.spec))
    process.start()
    process.join(90)
    assert process.exitcode == -signal.SIGKILL


def test_a_run_killed_between_table_and_state_is_finished_by_the_next(three: Corpus) -> None:
    three.write("a.md", "Changed.")
    three.write("c.txt", "New.")
    killed_run(three)
    assert three.ingest().parsed == 2
    rows = three.rows()
    assert set(rows) == {"a.md", "b.txt", "c.txt", "規程.md"}
    assert {name: row["good_key"] for name, row in three.known().items()} == {
        name: row["parse_key"] for name, row in rows.items()
    }


def test_files_that_change_after_a_killed_run_leave_nothing_of_it_behind(three: Corpus) -> None:
    three.write("gone.txt", "Written to the table by the killed run, then deleted.")
    three.write("a.md", "Written to the table by the killed run, then broken.")
    killed_run(three)
    (three.folder / "gone.txt").unlink()
    three.write("a.md", "")
    three.ingest()
    rows, known = three.rows(), three.known()
    assert set(rows) == set(known) == {"a.md", "b.txt", "規程.md"}
    assert known["a.md"]["good_key"] == rows["a.md"]["parse_key"], "the state names the text that the table holds"
