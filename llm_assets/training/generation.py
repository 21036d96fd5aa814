"""What a model answers and how surprised it is by the right answer, in batches of like length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from llm_assets.training.batching import all_likeliest, prompts, token_losses, with_answers
from llm_assets.training.encoding import Encoded
from llm_assets.training.loading import token_id

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import BoolTensor, LongTensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SPARE_TOKENS = 4  # room to go wrong: a longer answer is not the expected one anyway

Progress = Callable[[int], None]


class Examiner:
    """Puts held-out examples to a model.

    Args:
        model: as it is to be examined, adapter on or off.
        tokenizer: the model's.
        examples: encoded; what is returned is in their order.
        expected: the right answers as text.
        batch: examples at once in memory.
        max_new_tokens: of an answer; None gives what the longest right answer needs and a few more.
    """

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        examples: Sequence[Encoded],
        expected: Sequence[str],
        batch: int,
        max_new_tokens: int | None,
    ) -> None:
        self._model, self._tokenizer, self._examples = model, tokenizer, examples
        self._batch = batch
        self._pad = token_id(tokenizer, "pad")
        longest = max(len(example.completion) for example in examples)
        self._max_new_tokens = max_new_tokens or longest + SPARE_TOKENS
        self._one_line = not any("\n" in text.strip() for text in expected)

    @torch.inference_mode()
    def losses(self, progress: Progress) -> tuple[list[float], set[int]]:
        """Put the right answers to the model.

        Returns:
            Mean cross entropy of each example's completion tokens, in nats; and the examples in which the right
            token was the likeliest at every place: always choosing it would write exactly the right answer.
        """
        found, followed = [0.0] * len(self._examples), set()
        for members in self._batches(progress):
            batch = with_answers([self._examples[i] for i in members], self._pad)
            labels = batch.pop("labels")
            logits = self._model(**{name: self._placed(value) for name, value in batch.items()}).logits
            sums = token_losses(logits, labels.to(logits.device)).sum(1).tolist()
            right = all_likeliest(logits, labels.to(logits.device)).tolist()
            for i, total, as_expected in zip(members, sums, right, strict=True):
                found[i] = total / len(self._examples[i].completion)
                followed |= {i} if as_expected else set()
        return found, followed

    @torch.inference_mode()
    def answers(self, followed: set[int], progress: Progress, silent: Set[int] = frozenset()) -> list[str]:
        """What the model writes after each prompt, always choosing the likeliest token.

        Args:
            followed: from `losses`; these need not be written to know what would come.
            progress: told how many are written.
            silent: these are not asked; their answers are empty.
        """
        found = [self._right_answer(i) if i in followed - silent else "" for i in range(len(self._examples))]
        for members in self._batches(progress, without=followed | silent):
            batch = prompts([self._examples[i].prompt for i in members], self._pad)
            given = batch["input_ids"].size(1)
            written = cast("Any", self._model).generate(
                **{name: self._placed(value) for name, value in batch.items() if name != "position_ids"},
                do_sample=False,
                max_new_tokens=self._max_new_tokens,
                pad_token_id=self._pad,
                stopping_criteria=StoppingCriteriaList([FirstLine(self._tokenizer, given)] if self._one_line else []),
            )
            texts = self._tokenizer.batch_decode(written[:, given:], skip_special_tokens=True)
            for i, text in zip(members, texts, strict=True):
                found[i] = self._answer(text)
        return found

    def _answer(self, text: str) -> str:
        return text.strip().split("\n")[0] if self._one_line else text.strip()

    def _right_answer(self, i: int) -> str:
        ids = list(self._examples[i].completion[: self._max_new_tokens])
        return self._answer(str(self._tokenizer.decode(ids, skip_special_tokens=True)))

    def _placed(self, value: Any) -> Any:
        return value.to(self._model.device) if isinstance(value, torch.Tensor) else value

    def _batches(self, progress: Progress, without: Set[int] = frozenset()) -> Iterator[list[int]]:
        order = sorted(set(range(len(self._examples))) - without, key=lambda i: (len(self._examples[i]), i))
        for start in range(0, len(order), self._batch):
            yield order[start : start + self._batch]
            progress(min(start + self._batch, len(order)))


class FirstLine(StoppingCriteria):
    """Ends an answer after its first line that is not empty; for sets in which every right answer is one line."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, given: int) -> None:
        self._tokenizer, self._given = tokenizer, given

    def __call__(self, input_ids: LongTensor, scores: Any, **_: object) -> BoolTensor:
        texts = self._tokenizer.batch_decode(input_ids[:, self._given :], skip_special_tokens=True)
        ended = torch.tensor(["\n" in text.lstrip() for text in texts], device=input_ids.device)
        return cast("BoolTensor", ended)
