"""Where sentences end, in English and Japanese, with or without spaces between words. Linear in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEVER_LAST = _words(
    "mr mrs ms dr prof hon messrs no nos art arts sec secs fig figs para paras cl cls ch vol ed eds pp p v vs cf "
    "e.g i.e viz ca approx est dept rev gen capt lt col sgt gov sen rep pres ref refs app nr tel ext al"
)
"""Abbreviations, lower case and without their last dot, that something follows: Art. 5, No. 3, Dr. Sato."""

NEVER_LAST_IN = {
    "de": _words("abs bzw z.b d.h u.a vgl ggf inkl evtl str ziff"),
    "fr": _words("p.ex env mme mlle m"),
    "es": _words("sra sres pág núm aprox"),
}
MAYBE_LAST = _words("inc ltd co corp llc plc gmbh s.a etc a.m p.m u.s u.k jr sr st")
"""Abbreviations that can end a sentence: they do if the next word is one that often begins one."""

STARTERS = _words(
    "the this that these those it he she we they in on at if when however each any all no for a an such upon but "
    "and our your you there either neither both as after before where unless by to"
)
PARTICLES = "とのがはをにでもやかへだっな、，・）」』"
"""After a closing 」 these go on with the sentence: 「…。」と述べた。"""

OPENING, CLOSING = "「『（【〈《", "」』）】〉》"
UNCLOSED_AFTER = 300  # characters: a bracket open for longer was never meant to hold sentences together

_ITEM = r"[-*•・●○■◆]\s|\(?\d{1,3}[.)]\s|第[0-9０-９一二三四五六七八九十百]+[条項章節]|[（(][0-9０-９]{1,2}[)）]"
_EVENT = re.compile(
    rf"(?P<open>[{OPENING}])|(?P<close>[{CLOSING}])"
    r"|(?P<wide>[。！？｡]+|(?<!\d)．|．(?!\d))"
    r"|(?P<narrow>[.!?…]+[\"'”’)\]]*)"
    rf"|(?P<line>\n[ \t　]*\n|\n(?=[ \t　]*(?:{_ITEM})))"
)
_WORD_BEFORE = re.compile(r"(?:^|[^\w.])([^\W\d_][\w.]*|\d+)\Z")
_WORD_AFTER = re.compile(r"\s*[\"'“‘(\[]*(\w+)")
LOOK_BACK = 24  # characters: longer than any abbreviation


def sentence_spans(text: str, language: str) -> list[tuple[int, int]]:
    """Spans of the sentences of a text; together they are the whole text, white space included.

    Args:
        text: a paragraph or more.
        language: ISO 639-1; chooses the abbreviations beside the English ones, which occur everywhere.
    """
    abbreviations = NEVER_LAST | NEVER_LAST_IN.get(language, frozenset())
    spans, start, seen = [], 0, 0
    for end in _ends(text, abbreviations):
        if end <= seen:  # within white space that has been passed
            continue
        seen = _past_spaces(text, end)
        if text[start:end].strip():
            spans.append((start, seen))
            start = seen
    if start < len(text):
        if text[start:].strip() or not spans:
            spans.append((start, len(text)))
        else:
            spans[-1] = (spans[-1][0], len(text))
    return spans


_SPACES = re.compile(r"\s*")


def _past_spaces(text: str, position: int) -> int:
    match = _SPACES.match(text, position)
    return match.end() if match else position


def _ends(text: str, abbreviations: frozenset[str]) -> Iterator[int]:
    """Positions right behind sentences, ascending."""
    depth, opened, last = 0, 0, 0
    for event in _EVENT.finditer(text):
        if depth and event.start() - opened > UNCLOSED_AFTER:
            depth = 0
        ended = False
        match event.lastgroup:
            case "open":
                depth, opened = depth + 1, event.start()
            case "close":
                depth = max(0, depth - 1)
                ended = depth == 0 and _closes_sentence(text, event.start(), event.end())
            case "wide":
                ended = depth == 0 and text[event.end() : event.end() + 1] not in tuple(CLOSING)
            case "narrow":
                ended = _narrow_ends(text, last, event, abbreviations)
            case _:
                depth, ended = 0, True
        if ended:
            last = event.end()
            yield last


def _closes_sentence(text: str, close: int, end: int) -> bool:
    """「…。」 ends a sentence unless a particle goes on with it."""
    return text[close - 1 : close] in tuple("。！？｡") and text[end : end + 1] not in tuple(PARTICLES)


def _narrow_ends(text: str, start: int, event: re.Match[str], abbreviations: frozenset[str]) -> bool:
    """Whether a run of . ! ? (and closing quotes) ends a sentence that starts at `start`."""
    following = text[event.end() : event.end() + 1]
    if following and not following.isspace():
        return _is_wide(following) and _is_wide(text[event.start() - 1 : event.start()])
    after = _WORD_AFTER.match(text, event.end())
    word = after[1] if after else ""
    if word[:1].islower():
        return False
    if not event[0].startswith(".") or event[0].startswith(".."):
        return True
    before = _WORD_BEFORE.search(text[max(start, event.start() - LOOK_BACK) : event.start()])
    if before is None:
        return True
    alone = event.start() - start <= LOOK_BACK and text[start : event.start()].strip() == before[1]
    return _word_can_end(before[1], alone, word, abbreviations)


def _word_can_end(word: str, alone: bool, next_word: str, abbreviations: frozenset[str]) -> bool:
    """Whether a sentence can end in `word` and a dot, before `next_word`; `alone`: it has no other word."""
    lower = word.lower()
    if lower in abbreviations:
        return False
    if lower in MAYBE_LAST:
        return next_word.lower() in STARTERS
    if len(word) == 1 and word.isalpha() and word != "I":
        return False  # an initial: J. Smith
    return not (alone and word.isdigit())  # 1. begins a list's line


def _is_wide(character: str) -> bool:
    """Kana, kanji and full-width forms: scripts that put no space between sentences."""
    return bool(character) and ("\u3000" <= character <= "\u9fff" or "\uf900" <= character <= "\uffef")
