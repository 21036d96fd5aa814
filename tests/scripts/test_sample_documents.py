"""Guards against sample files that nobody can review: binaries unlike their source, passages that are nowhere."""

from __future__ import annotations

import zipfile
from collections import Counter

import pytest

from scripts.sample_documents.check import unanswerable_questions
from scripts.sample_documents.project import DOCUMENTS, read_queries
from scripts.sample_documents.source import Source, plain_text, read_sources
from scripts.sample_documents.writers import render
from scripts.sample_documents.writers.archive import read_archive
from scripts.sample_documents.writers.broken import PASSWORD
from scripts.sample_documents.writers.office import write_docx

SOURCES = read_sources()
READABLE = [source for source in SOURCES if not source.broken]
ZIPPED = {"docx", "epub", "odt", "pptx", "xlsx"}


def by_path(source: Source) -> str:
    return source.path


@pytest.mark.parametrize("source", READABLE, ids=by_path)
def test_a_committed_document_is_what_its_source_makes(source: Source) -> None:
    committed, made = (DOCUMENTS / source.path).read_bytes(), render(source)
    if source.suffix in ZIPPED:  # another zlib may compress the same members to other bytes
        assert read_archive(committed) == read_archive(made)
    else:
        assert committed == made


def test_every_document_has_a_source_and_none_is_code() -> None:
    files = {file.relative_to(DOCUMENTS).as_posix() for file in DOCUMENTS.rglob("*") if file.is_file()}
    assert files == {source.path for source in SOURCES}
    assert not [path for path in files if path.endswith((".py", "defs.yaml"))]


def test_the_truncated_document_is_the_first_half_of_a_readable_one() -> None:
    [source] = [source for source in SOURCES if source.broken == "truncated"]
    committed, whole = (DOCUMENTS / source.path).read_bytes(), write_docx(source)
    assert "word/document.xml" in read_archive(whole)
    assert len(committed) == pytest.approx(len(whole) / 2, rel=0.05)  # another zlib packs a little differently
    with pytest.raises(zipfile.BadZipFile):
        read_archive(committed)


def test_the_protected_document_opens_with_its_password_only() -> None:
    import pypdfium2

    [source] = [source for source in SOURCES if source.broken == "password"]
    path = DOCUMENTS / source.path
    with pytest.raises(pypdfium2.PdfiumError, match="password"):
        pypdfium2.PdfDocument(path)
    assert pdf_text(path.read_bytes(), PASSWORD).startswith(source.title)


@pytest.mark.parametrize("source", [source for source in READABLE if source.suffix == "pdf"], ids=by_path)
def test_a_reader_gets_a_pdfs_whole_text_back_also_in_japanese(source: Source) -> None:
    read = "".join(pdf_text((DOCUMENTS / source.path).read_bytes()).split())
    for line in plain_text(source).splitlines():
        assert "".join(line.split()) in read


def pdf_text(content: bytes, password: str | None = None) -> str:
    import pypdfium2

    pdf = pypdfium2.PdfDocument(content, password=password)
    return "\n".join(page.get_textpage().get_text_range() for page in pdf)


def test_every_question_has_passages_that_stand_in_one_place_only() -> None:
    assert unanswerable_questions(SOURCES) == []


def test_a_passage_that_is_nowhere_or_in_two_places_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from scripts.sample_documents import check
    from scripts.sample_documents.project import Relevance

    query = read_queries()[0].id
    wrong = [
        Relevance(query, "terms/cloud-service-terms.md", 1, "no such words"),
        Relevance(query, "terms/cloud-service-terms.md", 1, "Calderstone"),
    ]
    monkeypatch.setattr(check, "read_relevances", lambda: wrong)
    found = "\n".join(unanswerable_questions(SOURCES))
    assert "does not stand in one line" in found
    assert "stands in more than one place" in found


def test_the_sample_shows_many_formats_two_languages_and_two_broken_files() -> None:
    assert len({source.suffix for source in SOURCES}) >= 10
    assert Counter(source.broken for source in SOURCES) == {None: len(READABLE), "truncated": 1, "password": 1}
    assert Counter(source.folder for source in READABLE) == dict.fromkeys(
        ("contracts", "correspondence", "notices", "policies", "terms"), 7
    )
    japanese = [source for source in READABLE if source.language == "ja"]
    assert len(japanese) >= 10
    assert len({source.suffix for source in japanese}) >= 6


def test_the_questions_cover_every_document_in_both_languages() -> None:
    from scripts.sample_documents.project import read_relevances

    queries = read_queries()
    assert len({query.id for query in queries}) == len({query.text for query in queries}) == len(queries) >= 44
    assert sum(query.language == "ja" for query in queries) >= 16
    assert {relevance.path for relevance in read_relevances()} == {source.path for source in READABLE}
