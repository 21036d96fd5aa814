"""PDF with the fonts that every reader has: Helvetica, and the Adobe-Japan1 Mincho for Japanese.

Written by hand (PDF 32000-1:2008, sections 7.5 and 9.7) because no font file has to be carried then, and the bytes
depend on nothing but the source.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from ..source import Block, Heading, ListItem, Paragraph, Source, Table

_PAGE = 595, 842  # A4 in points
_MARGIN = 72
_SIZES = {1: 16, 2: 13, 3: 11}
_BODY = 10
_NO_LINE_START = "。、，．）」』】ー"

_HELVETICA = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
_MINCHO = (
    b"<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiMin-W3 /Encoding /UniJIS-UCS2-HW-H /DescendantFonts [ << "
    b"/Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiMin-W3 /DW 1000 /W [231 632 500] "
    b"/CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) /Supplement 2 >> "
    b"/FontDescriptor << /Type /FontDescriptor /FontName /HeiseiMin-W3 /Flags 4 /FontBBox [-123 -257 1001 910] "
    b"/ItalicAngle 0 /Ascent 709 /Descent -241 /CapHeight 709 /StemV 69 >> >> ] >>"
)


@dataclass(frozen=True)
class Line:
    """One printed line: text, size in points, space above in points."""

    text: str
    size: int
    above: int


def write_pdf(source: Source) -> bytes:
    japanese = source.language == "ja"
    pages = [_page_stream(page, japanese) for page in _pages(pdf_lines(source))]
    first = 4
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        _MINCHO if japanese else _HELVETICA,
    ]
    for number, stream in enumerate(pages):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_PAGE[0]} {_PAGE[1]}] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {first + 2 * number + 1} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream))
    objects.append(b"<< /Title %b >>" % _text_string(source.title))
    return _file(objects)


def pdf_lines(source: Source) -> list[Line]:
    """The printed lines in reading order: an extraction finds a passage whole only within one of them."""
    japanese = source.language == "ja"
    lines = _set(Heading(1, source.title), japanese)
    for block in source.blocks:
        lines += _set(block, japanese)
    return lines


def _set(block: Block, japanese: bool) -> list[Line]:
    match block:
        case Heading():
            return _paragraph(block.text, _SIZES[block.level], 12, japanese)
        case ListItem():
            return _paragraph(f"{'・' if japanese else '- '}{block.text}", _BODY, 2, japanese)
        case Table():
            gap = "\u3000" if japanese else "    "
            return [line for row in block.rows for line in _paragraph(gap.join(row), _BODY, 2, japanese)]
        case Paragraph():
            return _paragraph(block.text, _BODY, 6, japanese)


def _paragraph(text: str, size: int, above: int, japanese: bool) -> list[Line]:
    width = _PAGE[0] - 2 * _MARGIN
    # Helvetica takes 0.45 em a letter in English text, a Japanese character one em.
    wrapped = _wrap_japanese(text, width // size) if japanese else textwrap.wrap(text, int(width / (0.45 * size)))
    return [Line(line, size, above if not number else 0) for number, line in enumerate(wrapped)]


def _wrap_japanese(text: str, ems: int) -> list[str]:
    """Lines of at most `ems` full widths; none begins with closing punctuation, none breaks a number or word."""
    lines, line, used = [], "", 0.0
    for word in _units(text):
        width = sum(0.5 if character.isascii() else 1.0 for character in word)
        if used + width > ems and word[0] not in _NO_LINE_START:
            lines.append(line)
            line, used = "", 0.0
        line, used = line + word, used + width
    return [*lines, line]


def _units(text: str) -> list[str]:
    """Single Japanese characters, and whole runs of ASCII."""
    units: list[str] = []
    for character in text:
        if units and character.isascii() and units[-1].isascii():
            units[-1] += character
        else:
            units.append(character)
    return units


def _pages(lines: list[Line]) -> list[list[tuple[int, Line]]]:
    """Lines with the baseline of each, in points from the page's foot."""
    pages: list[list[tuple[int, Line]]] = [[]]
    y = _PAGE[1] - _MARGIN
    for line in lines:
        y -= line.above + round(line.size * 1.4)
        if y < _MARGIN:
            pages.append([])
            y = _PAGE[1] - _MARGIN - line.size
        pages[-1].append((y, line))
    return pages


def _page_stream(page: list[tuple[int, Line]], japanese: bool) -> bytes:
    shows = [
        b"/F1 %d Tf 1 0 0 1 %d %d Tm %b Tj" % (line.size, _MARGIN, y, _shown(line.text, japanese)) for y, line in page
    ]
    return b"BT\n" + b"\n".join(shows) + b"\nET"


def _shown(text: str, japanese: bool) -> bytes:
    if japanese:
        return b"<%b>" % text.encode("utf-16-be").hex().encode()
    raw = text.encode("cp1252")
    for special in (b"\\", b"(", b")"):
        raw = raw.replace(special, b"\\" + special)
    return b"(%b)" % raw


def _text_string(text: str) -> bytes:
    return b"<feff%b>" % text.encode("utf-16-be").hex().encode()


def _file(objects: list[bytes]) -> bytes:
    """The objects, numbered from 1, with the cross-reference table; the last one is the document information."""
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\n" % (len(objects) + 1, len(objects))
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)
