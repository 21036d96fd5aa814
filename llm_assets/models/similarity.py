"""How alike texts are, by the short runs of characters they share: works without words, so in Japanese too."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set

SHINGLE, WIDE_SHINGLE = 5, 3  # characters; chance matches are rare, and an edited word spoils only a few
WINDOW, WIDE_WINDOW = 32, 14  # a run this long in two texts is copied text, not common usage
FIRST_WIDE = "\u2e80"  # from here on a character says about as much as two or three Latin letters


def normalised(text: str) -> str:
    """Width, case and spacing do not count."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def shingles(text: str) -> frozenset[str]:
    """The short runs of characters by which texts are compared."""
    return runs(text, WIDE_SHINGLE if _is_wide(text) else SHINGLE)


def windows(text: str) -> frozenset[str]:
    """The long runs by which copied text is found."""
    return runs(text, WIDE_WINDOW if _is_wide(text) else WINDOW)


def runs(text: str, length: int) -> frozenset[str]:
    """All runs of `length` characters; a shorter text is one run."""
    return frozenset(text[start : start + length] for start in range(max(1, len(text) - length + 1)))


def without_frame(texts: Sequence[str]) -> list[str]:
    """The texts without the beginning and the end that all of them share: an instruction makes nothing alike."""
    if len(set(texts)) < 2:
        return list(texts)
    start = _common_start(texts)
    end = _common_start([text[start:][::-1] for text in texts])
    return [text[start : len(text) - end] for text in texts]


def _common_start(texts: Sequence[str]) -> int:
    first, last = min(texts), max(texts)  # all others lie between them
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def similar_pairs(texts: Sequence[str], at_least: float) -> Iterator[tuple[int, int, float]]:
    """All pairs whose Jaccard similarity of shingles is at least `at_least`, exactly.

    Prefix filtering (Bayardo et al., 2007, "Scaling up all pairs similarity search"): ordered by rarity, two
    such sets share one of their first |x| - ceil(t |x|) + 1 shingles, so only those are indexed and looked up.

    Returns:
        (i, j, similarity) with i < j.
    """
    sets = [shingles(normalised(text)) for text in texts]
    frequency = _frequency(sets)
    index: dict[str, list[int]] = defaultdict(list)
    for j, own in enumerate(sets):
        prefix = _prefix(own, frequency, at_least)
        for i in sorted({i for shingle in prefix for i in index[shingle]}):
            if (similarity := _jaccard(sets[i], own)) >= at_least:
                yield i, j, similarity
        for shingle in prefix:
            index[shingle].append(j)


def similar_to(known: Sequence[str], texts: Sequence[str], at_least: float) -> list[int]:
    """Positions of the texts that are as similar as that to one of `known`; filtered as in `similar_pairs`."""
    sets, own_sets = ([shingles(normalised(text)) for text in side] for side in (known, texts))
    frequency = _frequency([*sets, *own_sets])
    index: dict[str, list[int]] = defaultdict(list)
    for i, one in enumerate(sets):
        for shingle in _prefix(one, frequency, at_least):
            index[shingle].append(i)

    def is_known(own: frozenset[str]) -> bool:
        candidates = {i for shingle in _prefix(own, frequency, at_least) for i in index[shingle]}
        return any(_jaccard(sets[i], own) >= at_least for i in candidates)

    return [j for j, own in enumerate(own_sets) if is_known(own)]


def _frequency(sets: Sequence[frozenset[str]]) -> Counter[str]:
    return Counter(shingle for own in sets for shingle in own)


def _prefix(own: frozenset[str], frequency: Counter[str], at_least: float) -> list[str]:
    """Its rarest shingles: one of them at least is in every set that is as similar as that."""
    ordered = sorted(own, key=lambda shingle: (frequency[shingle], shingle))
    return ordered[: len(own) - math.ceil(at_least * len(own)) + 1]


def overlap(text: str, known: Set[str]) -> float:
    """The share of a text's windows that are among `known`; 0 to 1."""
    own = windows(normalised(text))
    return len(own & known) / len(own)


def _is_wide(text: str) -> bool:
    return sum(char >= FIRST_WIDE for char in text) * 3 > len(text)


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    common = len(a & b)
    return common / (len(a) + len(b) - common)
