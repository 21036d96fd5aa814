"""Guards against a broken document that stops the run, or that counts as parsed with nothing in it."""

from __future__ import annotations

import io
import zipfile

import pytest

from llm_assets.corpora.parsing import Parsed, ParseOptions, Quarantined, parse
from tests.corpora.parsing import samples
from tests.corpora.parsing.ole import compound_file


def quarantined(name: str, data: bytes, **options) -> Quarantined:
    result = parse(name, data, ParseOptions(**options))
    assert isinstance(result, Quarantined), result
    assert result.content_digest
    return result


def encrypted_pdf() -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(samples.pdf(samples.ENGLISH))))
    writer.encrypt("secret")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def encrypted_docx() -> bytes:
    from msoffcrypto.format.ooxml import OOXMLFile

    out = io.BytesIO()
    OOXMLFile(io.BytesIO(samples.docx())).encrypt("secret", out)
    return out.getvalue()


def zip_bomb(name: str, megabytes: int) -> bytes:
    """A docx of which one part unpacks to many megabytes of spaces."""
    out = io.BytesIO(samples.docx())
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        for _ in range(megabytes):
            member.write(b" " * 1_000_000)
    return out.getvalue()


def drm_epub() -> bytes:
    out = io.BytesIO(samples.epub())
    with zipfile.ZipFile(out, "a") as book:
        book.writestr(
            "META-INF/encryption.xml",
            '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData>'
            '<e:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></e:EncryptedData></encryption>',
        )
    return out.getvalue()


@pytest.mark.parametrize(("data", "words"), [(b"", "empty"), (b" \n\t\r\n ", "white space")])
def test_a_file_without_content_is_empty(data: bytes, words: str) -> None:
    result = quarantined("a.md", data)
    assert result.code == "empty"
    assert words in result.reason


@pytest.mark.parametrize(
    ("name", "made"), [("a.pdf", encrypted_pdf), ("a.docx", encrypted_docx), ("a.epub", drm_epub)]
)
def test_a_file_with_a_password_is_encrypted(name: str, made) -> None:
    assert quarantined(name, made()).code == "encrypted"


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.epub", "a.odt", "a.pdf", "a.msg", "a.xls"])
def test_a_file_cut_in_the_middle_is_corrupt(name: str) -> None:
    whole = samples.SAMPLES[name]()
    assert quarantined(name, whole[: len(whole) // 3]).code == "corrupt"


def test_a_damaged_part_of_a_container_is_corrupt() -> None:
    data = samples.zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": "<w:document"})
    assert quarantined("a.docx", data).code == "corrupt"


def test_a_part_that_unpacks_without_measure_is_a_bomb() -> None:
    result = quarantined("a.docx", zip_bomb("word/media/image1.xml", 60))
    assert result.code == "oversized"
    assert "word/media/image1.xml" in result.reason


def test_a_container_larger_than_allowed_is_oversized() -> None:
    assert quarantined("a.docx", zip_bomb("x", 5), max_unpacked_bytes=1_000_000).code == "oversized"


def test_random_bytes_are_no_document() -> None:
    noise = bytes((i * 7919 + i * i) % 256 for i in range(2000))
    assert quarantined("a.bin", noise).code == "unsupported"
    assert quarantined("a.txt", noise).code == "unsupported"
    assert quarantined("a.pdf", noise).code == "corrupt"


def test_text_under_a_binary_name_says_so() -> None:
    result = quarantined("a.pdf", b"This is not a PDF at all.\n")
    assert result.code == "corrupt"
    assert "named .pdf" in result.reason
    assert "plain text" in result.reason


@pytest.mark.parametrize(
    ("name", "content"), [("a.pdf", "a.docx"), ("a.docx", "a.html"), ("a.txt", "a.pdf"), ("a", "a.xlsx")]
)
def test_a_wrong_or_missing_extension_is_parsed_as_what_it_is(name: str, content: str) -> None:
    result = parse(name, samples.SAMPLES[content](), ParseOptions())
    assert isinstance(result, Parsed)
    assert samples.ENGLISH in "\n".join(element.text for element in result.elements)


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.html", "a.xlsx"])
def test_a_document_without_text_counts_as_nothing_extracted(name: str) -> None:
    from docx import Document
    from openpyxl import Workbook

    out = io.BytesIO()
    if name == "a.docx":
        Document().save(out)
    elif name == "a.xlsx":
        Workbook().save(out)
    blank = {"a.pdf": samples.pdf(""), "a.html": b"<html><body><img src='x.png'></body></html>"}.get(
        name, out.getvalue()
    )
    assert quarantined(name, blank).code == "nothing_extracted"


def test_formats_that_need_more_say_what() -> None:
    word = quarantined("a.doc", compound_file({"WordDocument": b"x" * 5000}))
    assert (word.code, "LibreOffice" in word.reason) == ("unsupported", True)
    picture = quarantined("a.png", b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert (picture.code, "ocr_only" in picture.reason) == ("unsupported", True)
    assert quarantined("a.zip", samples.zipped({"a.txt": "x"})).code == "unsupported"


@pytest.mark.parametrize(
    ("name", "data"), [("a.json", b"{"), ("a.json", b"[" * 100_000), ("a.ipynb", b"{]"), ("a.xml", b"<a><b></a>")]
)
def test_malformed_data_is_corrupt(name: str, data: bytes) -> None:
    assert quarantined(name, data).code == "corrupt"


def test_an_entity_of_an_xml_file_reads_no_other_file() -> None:
    data = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><b>safe</b><c>&x;</c></a>'
    result = parse("a.xml", data, ParseOptions())
    assert isinstance(result, Parsed)
    assert [element.text for element in result.elements] == ["safe"]


def test_an_include_of_a_text_file_reads_no_other_file() -> None:
    result = parse("a.rst", b"Safe text\n\n.. include:: /etc/passwd\n", ParseOptions())
    assert "root:" not in str(result)


def test_a_ragged_csv_loses_no_cell() -> None:
    result = parse("a.csv", b"a,b\n1,2,3,4\n5\n", ParseOptions())
    assert isinstance(result, Parsed)
    assert result.elements[0].text == "a | b\n1 | 2 | 3 | 4\n5"


def test_stored_text_has_no_character_that_a_table_cannot_hold() -> None:
    data = b'{"a": "x\\ud800y\\u0000z\\ufeff"}'
    result = parse("a.json", data, ParseOptions())
    assert isinstance(result, Parsed)
    assert result.elements[0].text == "a: xyz"
