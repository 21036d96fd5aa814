"""Word and PowerPoint files with unstructured."""

from __future__ import annotations

import zipfile
from io import BytesIO

from llm_assets.corpora.parsing.unstructured_setup import NO_LANGUAGE, prepare

prepare()

from llm_assets.corpora.parsing.docx_flatten import flatten  # noqa: E402
from llm_assets.corpora.parsing.from_unstructured import convert  # noqa: E402
from llm_assets.corpora.parsing.readers import Document, Job  # noqa: E402
from llm_assets.corpora.parsing.xml import parse_xml  # noqa: E402


def read_docx(data: bytes, _job: Job) -> Document:
    """Headings by style, paragraphs, list items, tables, headers and footers. Word files have no fixed pages."""
    from unstructured.partition.docx import partition_docx

    return Document(convert(partition_docx(file=BytesIO(flatten(data)), languages=NO_LANGUAGE)), _title(data))


def read_pptx(data: bytes, _job: Job) -> Document:
    """Slides in order, a slide's number as the page, its notes behind it."""
    from unstructured.partition.pptx import partition_pptx

    elements = partition_pptx(file=BytesIO(data), include_slide_notes=True, languages=NO_LANGUAGE)
    return Document(convert(elements, pages=True), _title(data))


def _title(data: bytes) -> str | None:
    """The title in the file's properties."""
    with zipfile.ZipFile(BytesIO(data)) as package:
        if "docProps/core.xml" not in package.namelist():
            return None
        return parse_xml(package.read("docProps/core.xml")).findtext("{http://purl.org/dc/elements/1.1/}title")
