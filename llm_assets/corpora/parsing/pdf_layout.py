"""Paragraphs and headings from the lines of a PDF's text layer.

A PDF has no paragraphs, only places of characters. A new paragraph starts where the size of the letters changes,
the distance to the line above is wider than usual, the text jumps up (next column or page), the line before ends
short with a full stop, or a bullet stands in front. Headings are what the outline lists; without an outline, short
paragraphs in larger letters than the body.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from ctypes import byref
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from llm_assets.corpora.parsing.readers.plain import BULLET
from llm_assets.corpora.parsing.results import Element
from llm_assets.corpora.parsing.text import join_lines, one_line

if TYPE_CHECKING:
    from pypdfium2 import PdfTextPage

HYPHENS = "\x02\ufffe\u00ad"  # pdfium's marks, and the soft hyphen, where a word is broken over two lines
SENTENCE_END = re.compile(r"[.!?:;。．！？：」）)]\s*$")
HEADING_SIZE = 1.15  # times the body's
HEADING_CHARS = 150


@dataclass(frozen=True)
class Line:
    """A line of text; lengths in points, y upwards."""

    text: str
    page: int
    left: float
    right: float
    bottom: float
    size: float


@dataclass(frozen=True)
class Bookmark:
    """An entry of the PDF's outline; level from 1."""

    title: str
    level: int


def page_lines(textpage: PdfTextPage, page: int) -> list[Line]:
    """The lines of one page in the order of its content stream."""
    lines, position = [], 0
    for text in re.split(r"(?<=\n)", textpage.get_text_range()):
        units = len(text.encode("utf-16-le", "surrogatepass")) // 2  # pdfium counts UTF-16 units
        if text.strip():
            start = position + len(text) - len(text.lstrip())
            end = position + max(len(text.rstrip()) - 1, 0)
            left, bottom, _, top = _box(textpage, start)
            right = _box(textpage, end)[2]
            lines.append(Line(text.strip("\r\n "), page, left, right, bottom, round(max(top - bottom, 0.1), 1)))
        position += units
    return lines


def _box(textpage: PdfTextPage, index: int) -> tuple[float, float, float, float]:
    from pypdfium2 import raw

    box = raw.FS_RECTF()
    raw.FPDFText_GetLooseCharBox(textpage, index, byref(box))
    return box.left, box.bottom, box.right, box.top


def elements(lines: list[Line], outline: list[Bookmark]) -> list[Element]:
    """Lines of a whole document as elements."""
    if not lines:
        return []
    body = _body_size(lines)
    found = list(_paragraphs(lines))
    levels = {_key(mark.title): mark.level for mark in outline if _key(mark.title)}
    sizes = [] if levels else _heading_sizes(found, body)
    return [_element(paragraph, levels, sizes) for paragraph in found]


def _paragraphs(lines: list[Line]) -> Iterator[list[Line]]:
    usual = _usual_pitch(lines)
    edges: dict[int, float] = {}
    for line in lines:
        edges[line.page] = max(edges.get(line.page, 0.0), line.right)
    paragraph = [lines[0]]
    for before, line in pairwise(lines):
        if _starts_paragraph(before, line, usual, edges[line.page]):
            yield paragraph
            paragraph = []
        paragraph.append(line)
    yield paragraph


def _starts_paragraph(before: Line, line: Line, usual: float, edge: float) -> bool:
    if line.page != before.page or abs(line.size - before.size) > 0.12 * before.size:
        return True
    pitch = before.bottom - line.bottom
    if abs(pitch) < 0.3 * line.size:  # the same row: cells of a table, or a tabulator
        return False
    if pitch < 0 or pitch > 1.3 * usual * line.size or BULLET.match(line.text):
        return True
    return bool(SENTENCE_END.search(before.text)) and before.right < edge - 2 * line.size


def _usual_pitch(lines: list[Line]) -> float:
    """The distance between lines within a paragraph, in sizes: the median of what can be one."""
    pitches = [
        (before.bottom - line.bottom) / line.size
        for before, line in pairwise(lines)
        if before.page == line.page and 0.5 < (before.bottom - line.bottom) / line.size < 2.5
    ]
    return median(pitches) if pitches else 1.2


def _body_size(lines: Iterable[Line]) -> float:
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0]


def _heading_sizes(paragraphs: list[list[Line]], body: float) -> list[float]:
    """Sizes of headings, largest first: their order is the level."""
    large = {lines[0].size for lines in paragraphs if _short(lines) and lines[0].size > HEADING_SIZE * body}
    return sorted(large, reverse=True)[:6]


def _short(lines: list[Line]) -> bool:
    return len(lines) <= 3 and sum(len(line.text) for line in lines) <= HEADING_CHARS


def _element(lines: list[Line], levels: dict[str, int], sizes: list[float]) -> Element:
    text = _running_text(lines)
    page = lines[0].page
    level = levels.get(_key(text)) if _short(lines) else None
    if level is None and _short(lines) and lines[0].size in sizes:
        level = sizes.index(lines[0].size) + 1
    if level is not None:
        return Element("title", one_line(text), page, level)
    return Element("list_item" if BULLET.match(text) else "text", text, page)


def _running_text(lines: list[Line]) -> str:
    parts: list[str] = []
    for line in lines:
        if parts and parts[-1][-1:] in HYPHENS:
            parts[-1] = parts[-1].rstrip(HYPHENS) + line.text
        else:
            parts.append(line.text)
    return join_lines(parts)


def _key(title: str) -> str:
    """What of a heading is the same in the outline and on the page: its letters and digits."""
    return re.sub(r"[\W_]+", "", title).lower()
