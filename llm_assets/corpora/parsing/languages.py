"""Which language a document is in: by script where that decides, by langdetect (seeded) where it does not."""

from __future__ import annotations

import re
from collections.abc import Iterable

SAMPLE_CHARS = 20_000
UNKNOWN = "und"

SCRIPTS = {
    "kana": re.compile(r"[\u3041-\u30fe\uff66-\uff9d]"),
    "han": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]"),
    "hangul": re.compile(r"[\uac00-\ud7a3]"),
    "thai": re.compile(r"[\u0e01-\u0e5b]"),
    "greek": re.compile(r"[\u0370-\u03ff]"),
    "hebrew": re.compile(r"[\u05d0-\u05ea]"),
    "arabic": re.compile(r"[\u0620-\u06ff]"),
    "cyrillic": re.compile(r"[\u0400-\u04ff]"),
    "devanagari": re.compile(r"[\u0900-\u097f]"),
    "latin": re.compile(r"[A-Za-z\u00c0-\u024f]"),
}
ONE_LANGUAGE = {"hangul": "ko", "thai": "th", "greek": "el", "hebrew": "he"}
# A Japanese or Korean character says about as much as three Latin letters; code and names in Latin
# script are frequent in Japanese text, the reverse is rare.
DENSE = {"kana": 3, "han": 3, "hangul": 2}
FUNCTION_WORDS = frozenset(
    [
        "the",
        "of",
        "and",
        "to",
        "in",
        "is",
        "that",
        "for",
        "it",
        "as",
        "with",
        "was",
        "on",
        "be",
        "by",
        "this",
        "are",
        "or",
        "from",
        "at",
        "not",
        "have",
        "an",
        "which",
        "you",
        "will",
    ]
)
PLAIN_ASCII = frozenset({"en", "nl", "it", "id", "tl", "so", "sw"})
OFTEN_PLAIN = frozenset({"de", "fr", "es", "pt"})
LETTERS_TO_JUDGE = 25  # with fewer, langdetect is a lottery
LETTERS_TO_HAVE_ACCENTS = 400


def detect(texts: Iterable[str]) -> str:
    """ISO 639-1 code of the language that most of the text is in; "und" where there are no letters."""
    sample = _sample(texts)
    weights = {name: len(script.findall(sample)) * DENSE.get(name, 1) for name, script in SCRIPTS.items()}
    east_asian = weights.pop("kana"), weights.pop("han")
    weights["cjk"] = sum(east_asian)
    script = max(weights, key=lambda name: weights[name])
    if not weights[script]:
        return UNKNOWN
    if script == "cjk":
        return _chinese_or_japanese(sample, *east_asian)
    return ONE_LANGUAGE.get(script) or _by_words(sample, script)


def _sample(texts: Iterable[str]) -> str:
    parts, left = [], SAMPLE_CHARS
    for text in texts:
        parts.append(text[:left])
        left -= len(text)
        if left <= 0:
            break
    return "\n".join(parts)


def _chinese_or_japanese(sample: str, kana: int, han: int) -> str:
    if kana > 0.05 * han:
        return "ja"
    # No kana: a heading or a list of names in Japanese, or Chinese. Simplified characters are in no Japanese
    # character set, and running Japanese text of some length always has kana.
    try:
        "".join(SCRIPTS["han"].findall(sample)).encode("cp932")
    except UnicodeEncodeError:
        return "zh"
    return "ja" if han < 3 * 100 else "zh"


def _by_words(sample: str, script: str) -> str:
    if script != "latin":
        return _langdetect(sample)[0]
    words = re.findall(r"[a-z]+", sample.lower())
    if sum(word in FUNCTION_WORDS for word in words) > 0.12 * len(words):
        return "en"
    if sample.isascii() and sum(map(len, words)) < LETTERS_TO_JUDGE:
        return "en"
    language, certainty = _langdetect(sample)
    if not sample.isascii():
        return language if certainty > 0.8 else "en"
    # Names, codes and numbers in plain ASCII make langdetect see Welsh or Danish. These languages need accents;
    # a short text may happen to have none.
    plausible = PLAIN_ASCII if sum(map(len, words)) > LETTERS_TO_HAVE_ACCENTS else PLAIN_ASCII | OFTEN_PLAIN
    return language if language in plausible and certainty > 0.99 else "en"


def _langdetect(sample: str) -> tuple[str, float]:
    from langdetect import DetectorFactory, LangDetectException, detect_langs

    DetectorFactory.seed = 0  # it samples at random otherwise
    try:
        best = detect_langs(sample[:5000])[0]
    except LangDetectException:
        return UNKNOWN, 0.0
    return best.lang.split("-")[0], best.prob
