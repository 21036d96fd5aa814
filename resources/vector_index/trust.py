"""How far an embedder can be trusted with a question: known before the search, from the question's script.

Telling the language of five words is guesswork; telling their script is not, and script is what separates an
embedder that reads a question from one that sees unknown tokens.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection

MODERATE = 0.5  # a script the embedder reads in a language it was not made for; or nothing known

_SCRIPTS = {
    "ja": ("HIRAGANA", "KATAKANA", "CJK"),
    "zh": ("CJK",),
    "yue": ("CJK",),
    "ko": ("HANGUL",),
    "el": ("GREEK",),
    "he": ("HEBREW",),
    "yi": ("HEBREW",),
    "th": ("THAI",),
    "hy": ("ARMENIAN",),
    "ka": ("GEORGIAN",),
    **dict.fromkeys(("ru", "uk", "be", "bg", "mk", "sr", "kk", "ky", "mn", "tg"), ("CYRILLIC",)),
    **dict.fromkeys(("ar", "fa", "ur", "ps", "ckb"), ("ARABIC",)),
    **dict.fromkeys(("hi", "mr", "ne", "sa"), ("DEVANAGARI",)),
    "bn": ("BENGALI",),
    "ta": ("TAMIL",),
    "te": ("TELUGU",),
    "kn": ("KANNADA",),
    "ml": ("MALAYALAM",),
    "gu": ("GUJARATI",),
    "pa": ("GURMUKHI",),
    "si": ("SINHALA",),
    "my": ("MYANMAR",),
    "km": ("KHMER",),
    "lo": ("LAO",),
    "am": ("ETHIOPIC",),
}
_ONLY_ASCII = {"en"}  # languages whose ordinary words carry no accents: "über" is not one of theirs


def dense_trust(query: str, languages: Collection[str] | None, coverage: float | None = None) -> float:
    """Trust in an embedder for one question, in 0..1: the share of its letters that the embedder can read.

    A Japanese question with an English product name lies in between, in proportion to its letters.

    Args:
        query: the question.
        languages: ISO 639-1 codes the embedder was made for; None: it does not say.
        coverage: 0..1, how well the embedder's tokenizer knows the question's words (`Embedder.coverage`). It
            speaks where the languages are not known: low coverage makes the trust moderate, not none, since
            tokenizers that work by single characters always look like that. Without it such an embedder is
            taken to be multilingual.
    """
    if languages is None:
        return 1.0 if coverage is None else max(MODERATE, coverage)
    words = re.findall(r"[^\W\d_]+", unicodedata.normalize("NFKC", query))
    letters = Counter(script for word in words for script in _letters(word, languages))
    total = sum(letters.values())
    if not total:
        return MODERATE
    readable = {script for code in languages for script in _SCRIPTS.get(code, ("LATIN",))}
    read = sum(count for script, count in letters.items() if script in readable)
    guessed = letters["FOREIGN LATIN"] if "LATIN" in readable else 0
    return (read + MODERATE * guessed) / total


def _letters(word: str, languages: Collection[str]) -> list[str]:
    """The script of each letter; all of a word with accents is foreign to an embedder that knows no accents."""
    scripts = [_script(letter) for letter in word]
    accents = any(script == "LATIN" and not c.isascii() for c, script in zip(word, scripts, strict=True))
    foreign = accents and set(languages) <= _ONLY_ASCII
    return ["FOREIGN LATIN" if foreign and script == "LATIN" else script for script in scripts]


def _script(letter: str) -> str:
    """First word of the Unicode name: LATIN, CJK, HIRAGANA, …"""
    name = unicodedata.name(letter, "UNKNOWN").split(" ", 1)[0]
    return {"KATAKANA-HIRAGANA": "KATAKANA", "IDEOGRAPHIC": "CJK"}.get(name, name)
