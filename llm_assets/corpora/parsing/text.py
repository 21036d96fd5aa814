"""Text as it is stored: composed, without characters that tables and JSON cannot carry.

NFC, not NFKC: NFKC would turn ① into 1, ㈱ into (株) and H₂O into H2O. Folding is a search engine's business.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

LINE_BREAKS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Controls, lone surrogates, byte order marks, noncharacters; U+FFFE is also pdfium's mark of a hyphenated break.
UNSTORABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
EXTRA_BLANK_LINES = re.compile(r"\n\s*\n\s*\n+")
# Scripts that are written without spaces between words.
UNSPACED = r"\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60\uff66-\uff9f"
_UNSPACED_EDGE = re.compile(f"[{UNSPACED}]")

BULLET = re.compile(r"^\s*(?:[-*•·●○■□◆◇▪‣]|\(?\d{1,3}[.)）]|[①-⑳])[ \t\u3000]+")
# Text in columns: a gap within a line, a tabulator, a table's border; and lines of source code.
COLUMNS = re.compile(r"\S {2,}\S|\S\t|\||[{};]$|[=~_-]{5}", re.MULTILINE)
MIN_WRAP_WIDTH = 50
FULL_LINE = 0.8


def clean(text: str) -> str:
    """One element's text: NFC, "\\n" line breaks, nothing unstorable, no outer or trailing white space."""
    text = UNSTORABLE.sub("", LINE_BREAKS.sub("\n", text))
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return unicodedata.normalize("NFC", EXTRA_BLANK_LINES.sub("\n\n", lines)).strip()


def one_line(text: str) -> str:
    """Text with all white space folded, for titles and table cells."""
    return re.sub(r"\s+", " ", text).strip()


def join_lines(lines: list[str]) -> str:
    """The lines of one paragraph as running text: with spaces, except between Japanese or Chinese characters."""
    joined = ""
    for line in (line.strip() for line in lines):
        if not joined or not line or (_UNSPACED_EDGE.match(joined[-1]) and _UNSPACED_EDGE.match(line[0])):
            joined += line
        else:
            joined += f" {line}"
    return joined


def unwrap(paragraph: str) -> str:
    """A paragraph whose lines were broken at a fixed width as running text.

    A sentence that is cut over lines is neither found nor split as one, above all in Japanese. A line runs on
    if it is nearly as wide as the widest; columns, verse and lists stay as they are.
    """
    lines = paragraph.split("\n")
    widest = max(map(width, lines))
    if widest < MIN_WRAP_WIDTH or COLUMNS.search(paragraph):
        return paragraph
    running = [[lines[0]]]
    for before, line in pairwise(lines):
        if width(before) < FULL_LINE * widest or BULLET.match(line):
            running.append([])
        running[-1].append(line)
    return "\n".join(join_lines(parts) if len(parts) > 1 else parts[0] for parts in running)


def width(line: str) -> int:
    """Columns on a terminal: two for a wide East Asian character."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)
