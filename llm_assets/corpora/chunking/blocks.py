"""Elements to blocks: what should stay together, made of units that may be parted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from llm_assets.corpora.chunking.cutting import Ruler
from llm_assets.corpora.chunking.sentences import sentence_spans

HEADING_CHARACTERS = 200  # of a heading as it is kept beside its chunks; in the text it is whole

Span = tuple[int, int]


class Element(Protocol):
    """A piece of a parsed document: `llm_assets.corpora.parsing.Element`."""

    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def page(self) -> int | None: ...
    @property
    def level(self) -> int | None: ...


@dataclass(frozen=True)
class Heading:
    """A heading over what follows it; `cost` in tokens."""

    text: str
    level: int
    cost: int


@dataclass(frozen=True)
class Unit:
    """The smallest part that chunks are packed from.

    Attributes:
        text: with the white space that follows it in its element.
        cost: tokens.
        joint: what stands between it and the unit before, if both are in one chunk.
        block: the block it belongs to.
    """

    text: str
    cost: int
    page: int | None
    joint: str
    block: Block


@dataclass(frozen=True)
class Block:
    """A heading, paragraph, list, table or piece of code.

    Attributes:
        headings: those above it, outermost first; a title's own text is the last.
        prefix: the heading that its chunks begin with if they don't contain it, with its cost.
        header: a table's first row, repeated in every chunk that goes on with the table, with its cost.
    """

    kind: str
    headings: tuple[str, ...]
    prefix: tuple[str, int]
    header: tuple[str, int]


def blocks(
    elements: Sequence[Element], rulers: Sequence[Ruler], max_tokens: int, language: str
) -> Iterator[list[Unit]]:
    """The units of each block, in order; none costs more than a chunk has room for.

    Args:
        elements: of one document.
        rulers: one for each element's text.
        max_tokens: of a chunk.
        language: of the document.
    """
    path: list[Heading] = []
    pairs = [pair for pair in zip(elements, rulers, strict=True) if pair[0].text.strip()]
    runs = groupby(enumerate(pairs), key=lambda item: "list_item" if item[1][0].kind == "list_item" else item[0])
    for _, run in runs:
        members = [pair for _, pair in run]
        element, ruler = members[0]
        if element.kind == "title":
            _enter(path, element, ruler)
        block = _block(element, ruler, path, max_tokens)
        room = max_tokens - block.prefix[1] - block.header[1]
        yield [unit for member, scale in members for unit in _units(member, scale, block, room, language)]


def _enter(path: list[Heading], element: Element, ruler: Ruler) -> None:
    """Replace the headings that a new one ends: those of its level and below."""
    level = element.level or 1
    while path and path[-1].level >= level:
        path.pop()
    path.append(Heading(element.text.strip(), level, ruler.cost(0, len(element.text))))


def _block(element: Element, ruler: Ruler, path: list[Heading], max_tokens: int) -> Block:
    prefix = header = ("", 0)
    if path and element.kind != "title" and path[-1].cost < max_tokens // 4:
        prefix = (path[-1].text, path[-1].cost + 1)
    if element.kind == "table":
        end = element.text.find("\n") + 1
        cost = ruler.cost(0, end) + 1
        header = (element.text[:end].strip(), cost) if end and cost <= max_tokens // 4 else header
    headings = tuple(heading.text[:HEADING_CHARACTERS] for heading in path)
    return Block(element.kind, headings, prefix, header)


def _units(element: Element, ruler: Ruler, block: Block, room: int, language: str) -> Iterator[Unit]:
    """Sentences, rows or lines, the too long ones in pieces."""
    spans: Callable[[str], list[Span]] = {
        "table": _line_spans,
        "code": _line_spans,
    }.get(element.kind, lambda text: sentence_spans(text, language))
    joint = "\n" if element.kind == "list_item" else "\n\n"
    for start, end in spans(element.text):
        for left, right in ruler.pieces(start, end, room):
            yield Unit(element.text[left:right], ruler.cost(left, right), element.page, joint, block)
            joint = ""


def _line_spans(text: str) -> list[Span]:
    spans, start = [], 0
    for line in text.splitlines(keepends=True):
        spans.append((start, start + len(line)))
        start += len(line)
    return spans
