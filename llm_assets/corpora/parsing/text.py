"""Text as it is stored: composed, without characters that tables and JSON cannot carry.

NFC, not NFKC: NFKC would turn ① into 1, ㈱ into (株) and H₂O into H2O. Folding is a search engine's business.
"""

from __future__ import annotations

import re
import unicodedata

LINE_BREAKS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Controls, lone surrogates, byte order marks, noncharacters; U+FFFE is also pdfium's mark of a hyphenated break.
UNSTORABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
EXTRA_BLANK_LINES = re.compile(r"\n\s*\n\s*\n+")
# Scripts that are written without spaces between words.
UNSPACED = r"\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60\uff66-\uff9f"
_UNSPACED_EDGE = re.compile(f"[{UNSPACED}]")


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
