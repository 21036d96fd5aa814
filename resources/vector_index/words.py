"""Text as full-text search of a server compares it: one form of each letter, English plurals as singulars.

Weaviate's tokenizers for Japanese and Chinese leave English words as they are, and cut `gen10` into `gen` and `10`,
so that every other `gen` is found too.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_WORD = re.compile(r"[a-z0-9]{2,}")
_LETTERS = {ord(digit): f"q{letter}" for digit, letter in zip("0123456789", "abcdefghij", strict=True)}
_SHORT = 4  # shorter words are no plurals


def comparable(text: str) -> str:
    """The same for passages and questions: NFKC, lower case, plural endings off, codes like `gen10` in one piece."""
    return _WORD.sub(lambda found: _one_form(found[0]), unicodedata.normalize("NFKC", text).lower())


@lru_cache(1 << 16)
def _one_form(word: str) -> str:
    if word.isdigit():
        return word
    if word.isalpha():
        return _singular(word) if len(word) >= _SHORT else word
    return word.translate(_LETTERS)


def _singular(word: str) -> str:
    """The S stemmer of Harman 1991, "How effective is suffixing?", JASIS 42(1)."""
    if word.endswith("ies") and word[-4] not in "ea":
        return f"{word[:-3]}y"
    if word.endswith("es") and word[-3] not in "aeo":
        return word[:-1]
    if word.endswith("s") and word[-2] not in "us":
        return word[:-1]
    return word
