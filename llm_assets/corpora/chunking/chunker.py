"""A document's elements to chunks: bounded by the embedder's own tokens, parted where the document parts."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from llm_assets.corpora.chunking.blocks import Element, blocks
from llm_assets.corpora.chunking.cutting import Ruler, best_cut
from llm_assets.corpora.chunking.packing import Draft, Packer
from resources.digests import digest

VERSION = 1  # raise it when the same elements would give other chunks
DEFAULT_MAX_TOKENS = 200
"""A long paragraph: one vector can still mean one thing, and every embedder reads it whole."""


class TokenCounter(Protocol):
    """An embedder's tokenizer: `resources.embedder.TokenCounter`."""

    @property
    def max_tokens(self) -> int: ...
    @property
    def digest(self) -> str: ...
    def count(self, texts: Sequence[str]) -> list[int]: ...
    def starts(self, texts: Sequence[str]) -> list[list[int]]: ...


@dataclass(frozen=True)
class Chunk:
    """A passage of a document.

    Attributes:
        ordinal: its place in the document, from 0.
        text: begins with the nearest heading above it.
        page: on which it begins.
        headings: those above its beginning, outermost first.
        tokens: of its text, exactly, special tokens not counted.
    """

    ordinal: int
    text: str
    page: int | None
    headings: tuple[str, ...]
    tokens: int


class Chunker:
    """Cuts documents into chunks. The same elements always give the same chunks.

    A heading begins a new chunk where the current one is big enough; paragraphs and lists stay whole if they fit;
    a table that doesn't repeats its first row; sentences are parted only if one alone is too long. No text is
    lost but white space, and none is cut off when a chunk is embedded.

    Args:
        tokens: the embedder's tokenizer.
        max_tokens: of a chunk's text.
        overlap_tokens: whole sentences of a long paragraph that its next chunk repeats, at most.

    Attributes:
        fingerprint: of what determines the chunks beside the document.

    Raises:
        ValueError: the embedder reads fewer tokens than `max_tokens`, or the numbers make no sense.
    """

    def __init__(self, tokens: TokenCounter, max_tokens: int = DEFAULT_MAX_TOKENS, overlap_tokens: int = 0) -> None:
        if not 16 <= max_tokens <= tokens.max_tokens:
            raise ValueError(
                f"max_tokens is {max_tokens}; the embedder reads {tokens.max_tokens}. Permitted: 16 to "
                f"{tokens.max_tokens}."
            )
        if not 0 <= overlap_tokens <= max_tokens // 2:
            raise ValueError(f"overlap_tokens is {overlap_tokens}. Permitted: 0 to {max_tokens // 2}.")
        self._tokens, self._max, self._overlap = tokens, max_tokens, overlap_tokens
        self.fingerprint = digest("chunker", VERSION, tokens.digest, max_tokens, overlap_tokens)

    def chunk(self, elements: Iterable[Element], language: str) -> list[Chunk]:
        """Cut one document.

        Args:
            elements: in reading order.
            language: ISO 639-1, of the document.
        """
        document = list(elements)
        starts = self._tokens.starts([element.text for element in document])
        rulers = [Ruler(element.text, own) for element, own in zip(document, starts, strict=True)]
        drafts = Packer(self._max, self._overlap, self._joint_cost).pack(
            blocks(document, rulers, self._max, language)
        )
        measured = self._within_bound(drafts)
        return [
            Chunk(ordinal, text, draft.units[0].page, draft.body_unit.block.headings, tokens)
            for ordinal, (draft, text, tokens) in enumerate(measured)
        ]

    def _within_bound(self, drafts: Sequence[Draft]) -> list[tuple[Draft, str, int]]:
        """Drafts with text and exact tokens. Those that joining or cutting made too long are parted again."""
        while True:
            texts = [draft.text for draft in drafts]
            counts = self._tokens.count(texts)
            if max(counts, default=0) <= self._max:
                return list(zip(drafts, texts, counts, strict=True))
            drafts = [
                part
                for draft, count in zip(drafts, counts, strict=True)
                for part in ([draft] if count <= self._max else parted(draft))
            ]

    @functools.cached_property
    def _joint_cost(self) -> int:
        """Tokens of an empty line between two words: none for BERT's kin, some where bytes are tokens."""
        apart, joined = self._tokens.count(["a", "a\n\na"])
        return max(0, joined - 2 * apart)


def parted(draft: Draft) -> Sequence[Draft]:
    """A draft in two: between units, or inside the only one."""
    unit, *more = draft.units
    if more:
        return draft.halves()
    cut = best_cut(unit.text, 0, max(1, len(unit.text) // 2))
    left = replace(unit, text=unit.text[:cut])
    right = replace(unit, text=unit.text[cut:])
    return [Draft((left,), 0, draft.continues_table), Draft((right,), 0, draft.continues_table)]
