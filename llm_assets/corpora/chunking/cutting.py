"""Measuring spans of a text in tokens, and cutting those that are too long where it hurts least."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence

CHARACTERS_A_TOKEN = 16
"""A token counts for at most so many characters: some tokenizers call a whole blob one unknown token."""

_CLAUSE = re.compile(r"[、，；：]|[;:,](?=\s)|[—–]|\n")
_SPACE = re.compile(r"\s+")
_JOINERS = "\u200d\ufe0e\ufe0f\uff9e\uff9f"  # ZWJ, variation selectors, half-width voicing marks


class Ruler:
    """A text with the places of its tokens.

    Args:
        text: what is measured.
        starts: the character at which each token starts, ascending.
    """

    def __init__(self, text: str, starts: Sequence[int]) -> None:
        self.text, self._starts = text, starts

    def cost(self, start: int, end: int) -> int:
        """Tokens that start in a span, or more if the span is long for them."""
        tokens = bisect_left(self._starts, end) - bisect_left(self._starts, start)
        return max(tokens, -(-(end - start) // CHARACTERS_A_TOKEN))

    def reach(self, start: int, limit: int) -> int:
        """The farthest end, at least one character on, of a span that costs at most `limit`."""
        index = bisect_left(self._starts, start) + limit
        end = self._starts[index] if index < len(self._starts) else len(self.text)
        return max(start + 1, min(end, start + limit * CHARACTERS_A_TOKEN))

    def pieces(self, start: int, end: int, limit: int) -> Iterator[tuple[int, int]]:
        """Spans of at most `limit` that cover a span: cut at clauses, else at spaces, else between graphemes."""
        while self.cost(start, end) > limit:
            cut = best_cut(self.text, start, min(end, self.reach(start, limit)))
            yield start, cut
            start = cut
        if start < end:
            yield start, end


def best_cut(text: str, start: int, end: int) -> int:
    """Where in (start, end] to cut: behind the last clause or space of the second half, else by graphemes.

    Inside a grapheme only if that grapheme alone reaches from start beyond end.
    """
    half = start + (end - start) // 2
    for mark in (_CLAUSE, _SPACE):
        ends = [match.end() for match in mark.finditer(text, half, end) if match.end() > start]
        good = [cut for cut in ends if not _extends(text, cut)]
        if good:
            return good[-1]
    return _last_grapheme_end(text, start, end)


def _extends(text: str, position: int) -> bool:
    """Whether the character at a position belongs to the one before it."""
    following = text[position : position + 1]
    return bool(following) and (unicodedata.category(following)[0] == "M" or following in _JOINERS)


def _last_grapheme_end(text: str, start: int, end: int) -> int:
    import regex

    best = end
    for match in regex.finditer(r"\X", text[start : end + 64]):  # 64: to see how the last one goes on
        if start + match.end() > end:
            break
        best = start + match.end()
    return best
