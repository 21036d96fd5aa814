"""OpenDocument text, spreadsheets and presentations: one XML vocabulary, read directly.

unstructured has no reader for ods and odp, and reads odt by converting it twice with pandoc.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

from llm_assets.corpora.parsing.readers import Document, Job
from llm_assets.corpora.parsing.readers.tables import tables
from llm_assets.corpora.parsing.results import Element, Kind
from llm_assets.corpora.parsing.xml import etree, parse_xml  # pyright: ignore[reportAttributeAccessIssue]  (no stubs)

_OASIS = "{urn:oasis:names:tc:opendocument:xmlns:"
TEXT, TABLE, DRAW, OFFICE = (f"{_OASIS}{name}:1.0}}" for name in ("text", "table", "drawing", "office"))
STYLE = f"{_OASIS}style:1.0}}"
PRESENTATION = f"{_OASIS}presentation:1.0}}"
MAX_REPEATS = 100  # a spreadsheet's last row says "repeated 1,048,576 times"
SILENT = frozenset({f"{TEXT}tracked-changes", f"{OFFICE}annotation", f"{TEXT}sequence-decls", f"{OFFICE}forms"})


@dataclass
class _Place:
    """Where the walk is."""

    titles: dict[str, int]
    page: int | None = None
    kind: Kind = "text"
    elements: list[Element] = field(default_factory=list)


def read(data: bytes, _job: Job) -> Document:
    """Headings with their level, paragraphs, list items, tables; in a presentation the slide is the page."""
    with zipfile.ZipFile(BytesIO(data)) as package:
        content = parse_xml(package.read("content.xml"))
        title = _title(package)
    place = _Place(titles=_title_styles(content))
    for child in content.iterfind(f"{OFFICE}body/*"):
        _walk(child, place)
    return Document(place.elements, title)


def _title(package: zipfile.ZipFile) -> str | None:
    if "meta.xml" not in package.namelist():
        return None
    return parse_xml(package.read("meta.xml")).findtext(".//{http://purl.org/dc/elements/1.1/}title")


def _title_styles(content: etree._Element) -> dict[str, int]:
    """Names of the paragraph styles that are, or derive from, Title and Subtitle, with their level."""
    levels = {"Title": 1, "Subtitle": 2}
    derived = {
        style.get(f"{STYLE}name"): levels.get(style.get(f"{STYLE}parent-style-name") or "")
        for style in content.iterfind(f"{OFFICE}automatic-styles/{STYLE}style")
    }
    return levels | {name: level for name, level in derived.items() if name and level}


def _walk(node: etree._Element, place: _Place) -> None:
    for child in node:
        if child.tag == f"{TEXT}h":
            level = int(child.get(f"{TEXT}outline-level") or 1)
            place.elements.append(Element("title", _text(child), place.page, level))
        elif child.tag == f"{TEXT}p":
            _paragraph(child, place)
        elif child.tag == f"{TABLE}table":
            _table(child, place)
        elif child.tag == f"{DRAW}page":
            _walk(child, _slide(place))
        elif child.tag == f"{TEXT}list":
            before, place.kind = place.kind, "list_item"
            _walk(child, place)
            place.kind = before
        elif child.get(f"{PRESENTATION}class") == "title":
            place.elements.append(Element("title", _text(child), place.page, 1))
        elif isinstance(child.tag, str) and child.tag not in SILENT:
            _walk(child, place)


def _slide(place: _Place) -> _Place:
    place.page = (place.page or 0) + 1
    return place


def _paragraph(node: etree._Element, place: _Place) -> None:
    level = place.titles.get(node.get(f"{TEXT}style-name") or "")
    kind = place.kind if level is None else "title"
    place.elements.append(Element(kind, _text(node), place.page, level))
    for frame in node.iterfind(f".//{DRAW}frame"):  # text boxes and tables that are anchored in it
        _walk(frame, place)


def _table(node: etree._Element, place: _Place) -> None:
    name = node.get(f"{TABLE}name")
    if name and node.getparent().tag == f"{OFFICE}spreadsheet":  # pyright: ignore[reportOptionalMemberAccess]
        place.elements.append(Element("title", name, place.page, 1))
    for table in tables(_rows(node)):
        place.elements.append(Element("table", table.text, place.page))


def _rows(table: etree._Element) -> Iterator[list[str]]:
    for row in table.iter(f"{TABLE}table-row"):
        cells: list[str] = []
        for cell in row:
            text = " ".join(_text(part) for part in cell.iter(f"{TEXT}p", f"{TEXT}h"))
            repeats = int(cell.get(f"{TABLE}number-columns-repeated") or 1)
            cells += [text] * min(repeats, MAX_REPEATS)
        yield from [cells] * (
            min(int(row.get(f"{TABLE}number-rows-repeated") or 1), MAX_REPEATS) if any(cells) else 1
        )


def _text(node: etree._Element) -> str:
    """A paragraph's text; spaces, tabs and breaks are elements in ODF. Frames in it are read apart."""
    parts = [node.text or ""]
    for child in node:
        if child.tag == f"{TEXT}s":
            parts.append(" " * min(int(child.get(f"{TEXT}c") or 1), MAX_REPEATS))
        elif child.tag in (f"{TEXT}tab", f"{TEXT}line-break"):
            parts.append("\t" if child.tag.endswith("tab") else "\n")
        elif isinstance(child.tag, str) and child.tag not in SILENT and child.tag != f"{DRAW}frame":
            parts.append(_text(child))
        parts.append(child.tail or "")
    return "".join(parts)
