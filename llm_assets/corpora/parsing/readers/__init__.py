"""One reader per family of formats, and the table that says which reads what.

A reader is `read(data: bytes, job: Job) -> Document`. Modules are imported when the first document of their kind
comes: a text file must not pay for the office libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from llm_assets.corpora.parsing.options import ParseOptions
from llm_assets.corpora.parsing.results import Element, Refused

_HOME = "llm_assets.corpora.parsing.readers"
_OFFICE = "application/vnd.openxmlformats-officedocument"

READERS = {
    "text/plain": "plain:read",
    "application/x-beir+json": "plain:read_beir",
    "text/vtt": "plain:read_subtitles",
    "application/x-subrip": "plain:read_subtitles",
    "text/markdown": "markdown:read",
    "text/asciidoc": "asciidoc:read",
    "text/csv": "tables:read_csv",
    "text/tab-separated-values": "tables:read_csv",
    "application/json": "data:read_json",
    "application/x-ndjson": "data:read_json_lines",
    "application/x-ipynb+json": "data:read_notebook",
    "application/xml": "data:read_xml",
    "text/html": "html:read",
    "application/epub+zip": "epub:read",
    "message/rfc822": "mail:read_eml",
    "application/vnd.ms-outlook": "mail:read_msg",
    f"{_OFFICE}.wordprocessingml.document": "office:read_docx",
    f"{_OFFICE}.presentationml.presentation": "office:read_pptx",
    f"{_OFFICE}.spreadsheetml.sheet": "tables:read_xlsx",
    "application/vnd.ms-excel": "tables:read_xls",
    "application/vnd.oasis.opendocument.text": "odf:read",
    "application/vnd.oasis.opendocument.spreadsheet": "odf:read",
    "application/vnd.oasis.opendocument.presentation": "odf:read",
    "text/rtf": "pandoc:read",
    "text/x-rst": "pandoc:read",
    "text/org": "pandoc:read",
    "application/msword": "legacy:read",
    "application/vnd.ms-powerpoint": "legacy:read",
    "application/pdf": "pdf:read",
    "image": "pdf:read_image",
}


@dataclass(frozen=True)
class Job:
    """What a reader may need beside the bytes. Args: depth: 0, or the number of messages a file is attached in."""

    name: str
    media_type: str
    options: ParseOptions
    depth: int = 0


@dataclass(frozen=True)
class Document:
    """What a reader found. Args: title: from the format's own metadata."""

    elements: list[Element]
    title: str | None = None


Reader = Callable[[bytes, Job], Document]


def reader_for(media_type: str) -> Reader:
    """The reader of a media type, its libraries imported.

    Raises:
        Refused: unsupported.
    """
    place = READERS.get(media_type) or READERS.get(media_type.split("/")[0] if media_type[:6] == "image/" else "")
    if place is None:
        raise Refused(
            "unsupported", f"{media_type} is not a document format that can be read. Exclude it, or convert it."
        )
    module, name = place.split(":")
    return cast("Reader", getattr(import_module(f"{_HOME}.{module}"), name))
