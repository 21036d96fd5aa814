"""One document from bytes to a result, in this process."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import replace

from llm_assets.corpora.parsing import languages, media_types
from llm_assets.corpora.parsing.encodings import Undecodable
from llm_assets.corpora.parsing.guards import refuse_zip_bomb
from llm_assets.corpora.parsing.options import ParseOptions
from llm_assets.corpora.parsing.readers import Document, Job, reader_for
from llm_assets.corpora.parsing.results import Code, Element, Parsed, Quarantined, Refused
from llm_assets.corpora.parsing.text import clean, one_line
from resources.digests import digest

DEFAULT_SHEET = re.compile(r"(?:sheet|シート|table|表)\s*\d+", re.IGNORECASE)
# What programs write where nobody gave a title.
PLACEHOLDERS = frozenset(
    {"", "untitled", "(anonymous)", "anonymous", "無題", "無題の文書", "powerpoint presentation", "word document"}
)


def parse(
    name: str, data: bytes, options: ParseOptions, loaded: Callable[[], None] = lambda: None
) -> Parsed | Quarantined:
    """Parse one document. Never raises for a bad document, only for a lack of memory.

    Args:
        name: its uri or file name; the content decides what it is, the name helps.
        loaded: called when the reader's libraries are imported and the reading begins.

    Raises:
        MemoryError: too little memory for this document.
    """
    content_digest = digest(data)
    try:
        media_type, document = read_document(name, data, options, loaded=loaded)
        if not document.elements:
            raise Refused("nothing_extracted", "no text was found in it.")
    except MemoryError:
        raise
    except Exception as error:  # whatever a library raises on a damaged file
        return Quarantined(content_digest, *explain(error))
    language = languages.detect(element.text for element in document.elements)
    return Parsed(content_digest, media_type, language, document.title, document.elements)


def read_document(
    name: str, data: bytes, options: ParseOptions, depth: int = 0, loaded: Callable[[], None] = lambda: None
) -> tuple[str, Document]:
    """Media type and clean content of a document; its title falls back to the first heading.

    Raises:
        Refused: and whatever else a library raises on a damaged file.
    """
    if not data.strip():
        raise Refused("empty", "the file is empty." if not data else "the file holds only white space.")
    media_type = media_types.detect(name, data)
    if data.startswith(media_types.ZIP_MAGIC):
        refuse_zip_bomb(data, options.max_unpacked_bytes)
    reader = reader_for(media_type)
    loaded()
    document = reader(data, Job(name, media_type, options, depth))
    elements = [
        cleaned for element in document.elements if (cleaned := replace(element, text=clean(element.text))).text
    ]
    title = _named(document.title) or _first_heading(elements)
    return media_type, Document(elements, title)


def _named(title: str | None) -> str | None:
    named = one_line(clean(title or ""))
    return None if named.lower() in PLACEHOLDERS else named


def _first_heading(elements: list[Element]) -> str | None:
    titles = (one_line(element.text) for element in elements if element.kind == "title")
    return next((title for title in titles if not DEFAULT_SHEET.fullmatch(title)), None)


def explain(error: Exception) -> tuple[Code, str]:
    """The code and the sentence under which a failed document is quarantined."""
    if isinstance(error, Refused):
        return error.code, error.reason
    if isinstance(error, Undecodable):
        return "unsupported", "it holds binary data where text is expected."
    said = one_line(f"{type(error).__name__}: {error}")[:300]
    if isinstance(error, ImportError):
        return "unsupported", f"a package for this format is missing: {said}"
    if isinstance(error, RecursionError):
        return "corrupt", "its parts are nested too deeply."
    if isinstance(error, zipfile.BadZipFile | EOFError):
        return "corrupt", f"its container is damaged: {said}. Was it copied completely?"
    return "corrupt", f"it cannot be parsed: {said}"
