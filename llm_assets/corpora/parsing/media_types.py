"""What a file is: by its content first, by its name only where the content leaves it open."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from pathlib import PurePosixPath

from llm_assets.corpora.parsing.encodings import Undecodable, decode
from llm_assets.corpora.parsing.results import Refused

OFFICE = "application/vnd.openxmlformats-officedocument"
DOCX, PPTX, XLSX = (
    f"{OFFICE}.{kind}" for kind in ("wordprocessingml.document", "presentationml.presentation", "spreadsheetml.sheet")
)
ODF = "application/vnd.oasis.opendocument"
PDF, EPUB, RTF, HTML, MAIL = "application/pdf", "application/epub+zip", "text/rtf", "text/html", "message/rfc822"
DOC, MSG = "application/msword", "application/vnd.ms-outlook"
PPT, XLS = "application/vnd.ms-powerpoint", "application/vnd.ms-excel"

# Names whose content has a signature; without it the file is damaged or not what it is called.
BINARY_NAMES = {
    ".pdf": "PDF", ".docx": "Word", ".docm": "Word", ".pptx": "PowerPoint", ".pptm": "PowerPoint", ".xlsx": "Excel",
    ".xlsm": "Excel", ".epub": "EPUB", ".odt": "OpenDocument", ".ods": "OpenDocument", ".odp": "OpenDocument",
    ".doc": "Word", ".ppt": "PowerPoint", ".xls": "Excel", ".msg": "Outlook", ".rtf": "RTF",
}  # fmt: skip
TEXT_NAMES = {
    ".md": "text/markdown", ".markdown": "text/markdown", ".csv": "text/csv", ".tsv": "text/tab-separated-values",
    ".tab": "text/tab-separated-values", ".json": "application/json", ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson", ".ipynb": "application/x-ipynb+json", ".vtt": "text/vtt",
    ".srt": "application/x-subrip", ".adoc": "text/asciidoc", ".asciidoc": "text/asciidoc", ".rst": "text/x-rst",
    ".org": "text/org", ".eml": MAIL, ".html": HTML, ".htm": HTML, ".xhtml": HTML, ".xml": "application/xml",
}  # fmt: skip
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
HTML_START = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
MAIL_START = re.compile(
    rb"\A(?:Return-Path|Received|Message-ID|MIME-Version|Delivered-To|X-[\w-]+):.*\r?\n", re.IGNORECASE
)
SAMPLE_BYTES = 64_000
BEIR_URI = re.compile(r"corpus\.jsonl#")


def detect(name: str, data: bytes) -> str:
    """The media type of a file.

    Raises:
        Refused: unsupported or corrupt content.
    """
    if BEIR_URI.search(name):
        return "application/x-beir+json"
    suffix = PurePosixPath(name).suffix.lower()
    found = _by_signature(data)
    if found is None and suffix in BINARY_NAMES:
        raise Refused("corrupt", f"it is named {suffix} but is no {BINARY_NAMES[suffix]} file: {_looks_like(data)}.")
    return found or _text_type(suffix, data)


def _by_signature(data: bytes) -> str | None:
    if b"%PDF-" in data[:1024]:
        return PDF
    if data.startswith(ZIP_MAGIC):
        return _zip_type(data)
    if data.startswith(OLE_MAGIC):
        return _ole_type(data)
    if data.startswith(b"{\\rtf"):
        return RTF
    if HTML_START.match(data[:4096]):
        return HTML
    return _media(data)


def _media(data: bytes) -> str | None:
    """Pictures, sound, video, archives and programs, which filetype tells by their first bytes."""
    import filetype

    kind = filetype.guess(data[:8192])
    return kind.mime if kind else None


def _zip_type(data: bytes) -> str:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = set(archive.namelist())
            declared = _start_of(archive, "mimetype") if "mimetype" in names else ""
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise Refused("corrupt", f"its container is damaged: {error}. Was it copied completely?") from error
    if declared.strip() == EPUB or "META-INF/container.xml" in names:
        return EPUB
    if declared.startswith(ODF):
        return declared.strip().removesuffix("-template")
    for part, media_type in (("word/", DOCX), ("ppt/", PPTX), ("xl/", XLSX)):
        if any(entry.startswith(part) for entry in names):
            return media_type
    return "application/zip"


def _start_of(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as member:
        return member.read(200).decode("ascii", "replace")


def _ole_type(data: bytes) -> str:
    import olefile

    try:
        with olefile.OleFileIO(BytesIO(data)) as container:
            streams = {entry[0] for entry in container.listdir()}
    except Exception as error:  # olefile raises many things on damaged containers
        raise Refused("corrupt", f"its container is damaged: {error}. Was it copied completely?") from error
    if {"EncryptedPackage", "EncryptionInfo"} & streams:
        raise Refused("encrypted", "the office file has a password. Save it without one.")
    known = {
        "WordDocument": DOC,
        "PowerPoint Document": PPT,
        "Workbook": XLS,
        "Book": XLS,
        "__properties_version1.0": MSG,
    }
    return next((known[stream] for stream in known if stream in streams), "application/x-ole-storage")


def _text_type(suffix: str, data: bytes) -> str:
    try:
        text = decode(data[:SAMPLE_BYTES])
    except Undecodable:
        raise Refused("unsupported", "it holds binary data of no known document format. Exclude it.") from None
    if suffix in TEXT_NAMES:
        return TEXT_NAMES[suffix]
    if MAIL_START.match(data) and "\n\n" in text.replace("\r\n", "\n"):
        return MAIL
    return "application/xml" if text.lstrip().startswith("<?xml") else "text/plain"


def _looks_like(data: bytes) -> str:
    try:
        decode(data[:SAMPLE_BYTES])
    except Undecodable:
        return "its content is damaged, or of no known format"
    return "it holds plain text. Rename it to .txt if that is right"
