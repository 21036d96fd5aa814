"""Examples as token ids: the same for training and for evaluation."""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_assets.training.loading import token_id

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # the label that torch's cross entropy leaves out


@dataclass(frozen=True)
class Encoded:
    """Token ids of one example. An `Encoder` keeps them in four bytes each: a corpus has many.

    Attributes:
        prompt: ids that are given.
        completion: ids to be learned, the end of the answer included.
        shortened: whether the prompt lost its middle.
        cut: whether the completion lost its end.
    """

    prompt: Sequence[int]
    completion: Sequence[int]
    shortened: bool
    cut: bool = False

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


class Encoder:
    """Encodes rows with a model's own tokenizer.

    Args:
        tokenizer: the model's.
        max_tokens: of prompt and completion together.
        chat: whether prompt and completion are turns of the model's chat template; `messages` always are.

    Raises:
        ValueError: a chat is wanted, but the model has no chat template.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int, chat: bool) -> None:
        self._tokenizer, self._max_tokens, self._chat = tokenizer, max_tokens, chat

    def encode(self, row: Mapping[str, Any]) -> Encoded:
        """The ids of one row. A prompt that is too long loses its middle: the beginning often says what to do,
        the end often asks. A completion that is too long loses its end."""
        prompt, completion = self._parts(row)
        cut = len(completion) > self._max_tokens - 1
        completion = completion[: self._max_tokens - 1]
        room = self._max_tokens - len(completion)
        shortened = len(prompt) > room
        if shortened:
            head = room // 2
            prompt = [*prompt[:head], *prompt[len(prompt) - (room - head) :]]
        return Encoded(_kept(prompt), _kept(completion), shortened, cut)

    def pieces(self, row: Mapping[str, Any]) -> list[Encoded]:
        """What is trained on for one row: a text without a prompt loses nothing, a long one becomes several pieces.

        Each piece continues the one before it, whose last token it is given.
        """
        if row["prompt"] or row["messages"]:
            return [self.encode(row)]
        before, text = self._parts(row)
        room = self._max_tokens - 1
        starts = range(0, len(text), room)
        given = [text[start - 1] if start else before[-1] for start in starts]
        return [
            Encoded(_kept([first]), _kept(text[start : start + room]), shortened=False)
            for first, start in zip(given, starts, strict=True)
        ]

    def _parts(self, row: Mapping[str, Any]) -> tuple[list[int], list[int]]:
        if row["messages"] or (self._chat and row["prompt"]):
            turns = json.loads(row["messages"]) if row["messages"] else _turns(row)
            return self._conversation(turns)
        end = token_id(self._tokenizer, "eos")
        start = self._tokenizer.bos_token_id
        if not row["prompt"]:  # something must come before the first token to be learned
            return [start if isinstance(start, int) else end], [*self._ids(row["completion"]), end]
        return self._ids(row["prompt"]), [*self._ids(row["completion"]), end]

    def _conversation(self, turns: list[dict[str, str]]) -> tuple[list[int], list[int]]:
        if self._tokenizer.chat_template is None:
            raise ValueError(
                "the model has no chat template, so it cannot be trained on messages: "
                "give prompt and completion, or choose a model that was made for chat"
            )
        given = self._tokenizer.apply_chat_template(turns[:-1], add_generation_prompt=True, tokenize=False)
        whole = str(self._tokenizer.apply_chat_template(turns, tokenize=False))
        return self._ids(str(given)), self._ids(whole[len(str(given)) :])

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def _kept(ids: list[int]) -> Sequence[int]:
    return array("i", ids)


def _turns(row: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
