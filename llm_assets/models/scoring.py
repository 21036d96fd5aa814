"""Is an answer right, and how near is it: scores of one answer against the expected one, 0 to 1.

Texts are compared as people read them: width, case and spacing do not count (but for `exact_match`), and languages
that put no spaces between words are compared by characters, as JGLUE does (Kurihara et al., 2022).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex
    from sacrebleu.metrics.chrf import CHRF

CLOSING = " \t.,;:!?。、．，！？"
ARTICLES = frozenset({"a", "an", "the"})
# One character at a time where a script has no spaces; the long-vowel mark belongs to no single script.
TOKENS = r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*|[\p{L}\p{M}\p{N}]"
WORD = r"(?:(?![\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])[\p{L}\p{M}\p{N}])+"


def exact_match(answer: str, expected: str) -> bool:
    """Letter by letter; white space around does not count."""
    return answer.strip() == expected.strip()


def accurate(answer: str, expected: str) -> bool:
    """Width, case, spacing and a closing punctuation mark do not count either."""
    return label(answer) == label(expected)


def label(text: str) -> str:
    """A text as a class: what `accurate` compares."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(CLOSING)


def tokens(text: str) -> list[str]:
    """Words, or characters where a script has no spaces between words; punctuation is left out."""
    return _pattern().findall(unicodedata.normalize("NFKC", text).casefold())


def f1(answer: str, expected: str) -> float:
    """Harmonic mean of precision and recall of tokens, English articles aside (SQuAD; Rajpurkar et al., 2016)."""
    said, wanted = ([token for token in tokens(text) if token not in ARTICLES] for text in (answer, expected))
    if not said or not wanted:
        return float(said == wanted)
    return _harmonic(sum((Counter(said) & Counter(wanted)).values()), len(said), len(wanted))


def rouge_l(answer: str, expected: str) -> float:
    """F measure of the longest common subsequence of tokens (Lin, 2004), without stemming."""
    from rapidfuzz.distance import LCSseq

    said, wanted = tokens(answer), tokens(expected)
    if not said or not wanted:
        return 0.0
    return _harmonic(int(LCSseq.similarity(said, wanted)), len(said), len(wanted))


def chrf(answer: str, expected: str) -> float:
    """F measure of runs of one to six characters (Popović, 2015), as `sacrebleu` computes it, divided by 100."""
    return _chrf().sentence_score(answer.strip(), [expected.strip()]).score / 100


SCORES: Mapping[str, Callable[[str, str], bool | float]] = {
    "accuracy": accurate,
    "exact_match": exact_match,
    "f1": f1,
    "rouge_l": rouge_l,
    "chrf": chrf,
}


def scored(answer: str, expected: str, names: Sequence[str]) -> dict[str, bool | float]:
    """Some of `SCORES`."""
    return {name: SCORES[name](answer, expected) for name in names if name in SCORES}


def _harmonic(common: int, said: int, wanted: int) -> float:
    return 2 * common / (said + wanted)


@cache
def _pattern() -> regex.Pattern[str]:
    import regex

    return regex.compile(f"{WORD}|{TOKENS}")


@cache
def _chrf() -> CHRF:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()
