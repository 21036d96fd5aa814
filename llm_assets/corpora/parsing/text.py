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
    """The lines of one paragraph as running text.

    With spaces, except between Japanese or Chinese characters and at a slash, where addresses are broken.
    """
    joined = ""
    for line in filter(None, (line.strip() for line in lines)):
        joined += line if not joined or _runs_on(joined[-1], line[0]) else f" {line}"
    return joined


def _runs_on(before: str, after: str) -> bool:
    return "/" in (before, after) or bool(_UNSPACED_EDGE.match(before) and _UNSPACED_EDGE.match(after))


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
