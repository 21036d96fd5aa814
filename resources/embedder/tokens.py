"""Counting and placing an embedder's tokens with `tokenizers` alone: no torch, no transformers."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resources.digests import digest
from resources.model_sources import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


@dataclass(frozen=True)
class TokenCounter:
    """The tokenizer of one embedder. Small and picklable: the tokenizer is read when it is first used.

    Attributes:
        file: the model's tokenizer.json.
        max_tokens: the most tokens a text may have and be embedded whole: special tokens and the document
            prompt are already taken off.
        lowercase: whether the model lowercases before its tokenizer.
    """

    file: Path
    max_tokens: int
    lowercase: bool = False

    @property
    def digest(self) -> str:
        """Of what determines the counts."""
        return digest(self.file.read_bytes(), int(self.lowercase), self.max_tokens)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens not counted, nothing cut off."""
        return [len(encoding.ids) for encoding in self._encode(texts)]

    def starts(self, texts: Sequence[str]) -> list[list[int]]:
        """For each text the character at which each of its tokens starts, ascending."""
        return [[start for start, _ in encoding.offsets] for encoding in self._encode(texts)]

    def coverage(self, text: str) -> float:
        """How well the tokenizer knows a text's words: 0 (not at all) to 1.

        The share of letters in tokens that are neither unknown nor a single letter out of a longer run of
        letters. English under an English tokenizer is near 1, Japanese near 0. A tokenizer made for single
        characters (Chinese BERT) has a low coverage of its own language too: a hint, not a verdict.
        """
        encoding = self._encode([text])[0]
        letters = [(start, end) for start, end in encoding.offsets if text[start:end].isalpha()]
        touching = {left for left, right in itertools.pairwise(letters) if left[1] == right[0]}
        touching |= {right for left, right in itertools.pairwise(letters) if left[1] == right[0]}
        unknown = self.tokenizer.token_to_id(getattr(self.tokenizer.model, "unk_token", None) or "<unk>")
        lost = {span for span, token in zip(encoding.offsets, encoding.ids, strict=True) if token == unknown}
        total = known = 0
        for span in letters:
            length = span[1] - span[0]
            total += length
            if span not in lost and (length > 1 or span not in touching):
                known += length
        return known / total if total else 1.0

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        """Without the truncation and padding that some tokenizer.json carry from their training."""
        return read_tokenizer(self.file, self.lowercase)

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        return self.tokenizer.encode_batch(list(texts), add_special_tokens=False)


def read_tokenizer(file: Path, lowercase: bool) -> Tokenizer:
    """A model's own tokenizer, with nothing cut or padded."""
    from tokenizers import Tokenizer, normalizers

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if lowercase:
        given = [tokenizer.normalizer] if tokenizer.normalizer is not None else []
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *given])
    return tokenizer


def tokenizer_file(reference: str, folder: Path) -> Path:
    """The model's tokenizer.json.

    Raises:
        ModelError: there is none.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelError(
            reference,
            f"{folder} has no tokenizer.json. Make one: "
            f"transformers.AutoTokenizer.from_pretrained('{folder}').save_pretrained('{folder}').",
        )
    return file
