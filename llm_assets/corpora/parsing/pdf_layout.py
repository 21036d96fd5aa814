"""Paragraphs and headings from the lines of a PDF's text layer.

A PDF has no paragraphs, only places of characters. A new paragraph starts where the size of the letters changes,
the distance to the line above is wider than usual, the text jumps up (next column or page), the line before ends
short with a full stop, or a bullet stands in front. Headings are what the outline lists; without an outline, short
paragraphs in larger or bolder letters than the body.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from ctypes import byref, c_int, create_string_buffer
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from llm_assets.corpora.parsing.results import Element
from llm_assets.corpora.parsing.text import BULLET, join_lines, one_line

if TYPE_CHECKING:
    from pypdfium2 import PdfTextPage

SENTENCE_END = re.compile(r"[.!?:;。．！？：」）)]\s*$")
NUMBERING = re.compile(
    r"^\s*(?:第\s*[\d一二三四五六七八九十]+\s*[編部章節条]|Chapter\s+\d+|[A-Z]?\d+(?:\.\d+)*\.?)\s*"
)
HEADING_SIZE = 1.15  # times the body's
HEADING_CHARS = 150
STOPS = (".", "。", "．", ",", "、", ";", ":")
SHORT_LINE = 0.2  # of the paragraph's width

Look = tuple[float, bool]  # size and boldness of a line's letters


@dataclass(frozen=True)
class Line:
    """A line of text; lengths in points, y upwards.

    pdfium joins a line that ends in a hyphen with the next, so the last character can stand lower than the first.
    """

    text: str
    page: int
    left: float
    right: float
    bottom: float
    last_bottom: float
    size: float
    bold: bool


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
            _, last_bottom, right, _ = _box(textpage, end)
            size = max(round(2 * (top - bottom)) / 2, 0.5)
            bold = _bold(textpage, start) and _bold(textpage, end)
            lines.append(Line(text.strip("\r\n "), page, left, right, bottom, last_bottom, size, bold))
        position += units
    return lines


def _box(textpage: PdfTextPage, index: int) -> tuple[float, float, float, float]:
    from pypdfium2 import raw

    box = raw.FS_RECTF()
    raw.FPDFText_GetLooseCharBox(textpage, index, byref(box))
    return box.left, box.bottom, box.right, box.top


def _bold(textpage: PdfTextPage, index: int) -> bool:
    """Whether a character's font is called bold. Names are like "ABCDEF+Helvetica-Bold"."""
    from pypdfium2 import raw

    name, flags = create_string_buffer(128), c_int()
    raw.FPDFText_GetFontInfo(textpage, index, name, len(name), byref(flags))
    return b"bold" in name.value.lower()


def elements(lines: list[Line], outline: list[Bookmark]) -> list[Element]:
    """Lines of a whole document as elements."""
    if not lines:
        return []
    found = list(_paragraphs(lines))
    levels = {_key(mark.title): mark.level for mark in outline if _key(mark.title)}
    looks = [] if levels else _heading_looks(found, lines)
    return [_element(paragraph, levels, looks) for paragraph in found]


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
    if line.page != before.page or line.bold != before.bold or abs(line.size - before.size) > 0.12 * before.size:
        return True
    pitch = before.last_bottom - line.bottom
    if abs(pitch) < 0.3 * line.size:  # the same row: cells of a table, or a tabulator
        return False
    if pitch < 0 or pitch > 1.3 * usual * line.size or BULLET.match(line.text):
        return True
    return bool(SENTENCE_END.search(before.text)) and before.right < edge - 2 * line.size


def _usual_pitch(lines: list[Line]) -> float:
    """The distance between lines within a paragraph, in sizes: the median of what can be one."""
    pitches = [
        (before.last_bottom - line.bottom) / line.size
        for before, line in pairwise(lines)
        if before.page == line.page and 0.5 < (before.last_bottom - line.bottom) / line.size < 2.5
    ]
    return median(pitches) if pitches else 1.2


def _heading_looks(paragraphs: list[list[Line]], lines: list[Line]) -> list[Look]:
    """The looks of headings, most prominent first: the order is the level."""
    body = Counter[Look]()
    for line in lines:
        body[line.size, line.bold] += len(line.text)
    size, bold = body.most_common(1)[0][0]
    looks = {(first.size, first.bold) for first, *_ in filter(_heading_like, paragraphs)}
    return sorted(
        (look for look in looks if look[0] > HEADING_SIZE * size or (look[1] and not bold and look[0] > 0.95 * size)),
        reverse=True,
    )[:6]


def _heading_like(lines: list[Line]) -> bool:
    """Short, no sentence, and words rather than figures (which are a table's total in bold)."""
    text = "".join(line.text for line in lines)
    wordy = sum(map(str.isalpha, text)) > sum(map(str.isdigit, text))
    return len(lines) <= 3 and len(text) <= HEADING_CHARS and wordy and not text.endswith(STOPS)


def _element(lines: list[Line], levels: dict[str, int], looks: list[Look]) -> Element:
    text = _running_text(lines)
    page = lines[0].page
    level = _outline_level(text, levels) if _heading_like(lines) else None
    look = (lines[0].size, lines[0].bold)
    if level is None and look in looks and _heading_like(lines):
        level = looks.index(look) + 1
    if level is not None:
        return Element("title", one_line(text), page, level)
    return Element("list_item" if BULLET.match(text) else "text", text, page)


def _outline_level(text: str, levels: dict[str, int]) -> int | None:
    """The level of a heading that the outline lists, there often without its number."""
    return levels.get(_key(text)) or levels.get(_key(NUMBERING.sub("", text, count=1)))


def _running_text(lines: list[Line]) -> str:
    """Full lines run on; a line break behind a short one is meant (an address, the rows of a table)."""
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    rows = [[lines[0].text]]
    for before, line in pairwise(lines):
        same_row = abs(before.last_bottom - line.bottom) < 0.3 * line.size
        if not same_row and before.right < right - SHORT_LINE * (right - left):
            rows.append([])
        rows[-1].append(line.text)
    return "\n".join(join_lines(row) for row in rows)


def _key(title: str) -> str:
    """What of a heading is the same in the outline and on the page: its letters and digits."""
    return re.sub(r"[\W_]+", "", title).lower()
