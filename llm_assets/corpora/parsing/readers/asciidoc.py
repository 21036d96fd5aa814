"""AsciiDoc, read line by line: headings, paragraphs, lists, tables and listings; attributes are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from llm_assets.corpora.parsing.encodings import decode
from llm_assets.corpora.parsing.readers import Document, Job
from llm_assets.corpora.parsing.results import Element

HEADING = re.compile(r"^(={1,6})\s+(\S.*)$")
LIST_ITEM = re.compile(r"^\s*(?:[*.-]{1,5}|\d+\.)\s+(?=\S)")
FENCES = {"----": "code", "....": "code", "|===": "table"}
MACRO = re.compile(r"\b\w+::?\S+\[([^\],]*)[^\]]*\]")  # image::x.png[alt, width=9], link:x[text]
# Attribute entries, block attributes, comments: instructions to the processor, not text.
SILENT = re.compile(r"^(?::[\w!-]+:.*|\[.*\]|//.*)$")


def read(data: bytes, _job: Job) -> Document:
    """The elements of an AsciiDoc file; "= Title" is level 1."""
    elements = list(_elements(decode(data).replace("\r\n", "\n").split("\n")))
    first = elements[0] if elements else None
    return Document(elements, first.text if first and first.level == 1 else None)


def _elements(lines: list[str]) -> Iterator[Element]:
    paragraph: list[str] = []
    position = 0
    while position < len(lines):
        line = lines[position].rstrip()
        heading, fence = HEADING.match(line), FENCES.get(line)
        if paragraph and (not line or heading or fence or LIST_ITEM.match(line)):
            yield _block(paragraph)
            paragraph = []
        if fence:
            end = next((i for i in range(position + 1, len(lines)) if lines[i].rstrip() == line), len(lines))
            yield _fenced(fence, lines[position + 1 : end])
            position = end
        elif heading:
            yield Element("title", heading[2].strip(), level=len(heading[1]))
        elif line and not SILENT.match(line):
            paragraph.append(line.removeprefix(".") if re.match(r"\.\w", line) else line)
        position += 1
    if paragraph:
        yield _block(paragraph)


def _block(lines: list[str]) -> Element:
    kind = "list_item" if LIST_ITEM.match(lines[0]) else "text"
    lines = [MACRO.sub(r"\1", line) for line in lines]
    return Element(kind, LIST_ITEM.sub("", "\n".join(lines)) if kind == "list_item" else "\n".join(lines))


def _fenced(kind: str, lines: list[str]) -> Element:
    if kind == "code":
        return Element("code", "\n".join(lines))
    rows = [" | ".join(cell.strip() for cell in line.lstrip("|").split("|")) for line in lines if line.strip()]
    return Element("table", "\n".join(rows))
