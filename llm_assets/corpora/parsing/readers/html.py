"""HTML with unstructured; the encoding is found here, because pages in CP932 and EUC-JP do not always say so."""

from __future__ import annotations

import html as entities
import re

from llm_assets.corpora.parsing.unstructured_setup import NO_LANGUAGE, prepare

prepare()
from unstructured.partition.html import partition_html  # noqa: E402

from llm_assets.corpora.parsing.encodings import decode  # noqa: E402
from llm_assets.corpora.parsing.from_unstructured import convert  # noqa: E402
from llm_assets.corpora.parsing.readers import Document, Job  # noqa: E402
from llm_assets.corpora.parsing.results import Element  # noqa: E402
from llm_assets.corpora.parsing.text import one_line  # noqa: E402

CHARSET = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
TITLE = re.compile(r"<title\b[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
CAPTION = re.compile(r"(<table\b[^>]*>\s*)<caption\b[^>]*>(.*?)</caption>", re.IGNORECASE | re.DOTALL)
XML_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")


def read(data: bytes, _job: Job) -> Document:
    """Headings with their level, paragraphs, list items, tables."""
    return read_text(decode(data, declared(data)))


def declared(data: bytes) -> str | None:
    """The encoding that a page names in its first 2 kB."""
    found = CHARSET.search(data[:2048])
    return found[1].decode("ascii") if found else None


def read_text(text: str) -> Document:
    """As `read`, for a page that is already text."""
    title = TITLE.search(text)
    return Document(body(text), one_line(entities.unescape(title[1])) if title else None)


def body(text: str) -> list[Element]:
    """The elements of a page or fragment; none for a page without text."""
    text = XML_DECLARATION.sub("", text)  # lxml refuses a declaration in a str
    text = CAPTION.sub(r"<p>\2</p>\1", text)  # unstructured drops a table's caption
    return convert(partition_html(text=text, languages=NO_LANGUAGE)) if text.strip() else []
