"""Several examples in one row, without padding between them: each sees only itself, as if it were alone.

Positions begin anew with each example, and attention is computed example by example. So nothing is spent on padding,
and nothing on a mask of all against all, which transformers would build for such a row. The loss and the gradients
are those of the examples one by one. Which examples form a step is planned beforehand: packing changes no result.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from llm_assets.training.encoding import IGNORED, Encoded

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

ATTENTION = "sdpa_by_example"
WIDE_BELOW = 256
"""Segments shorter than this are computed in float32 on a CPU: torch's attention in bfloat16 takes four times as long
for 44 tokens, a third more for 200, and a sixth less for 512 (torch 2.15, two threads, forward and backward)."""
PACKABLE_LAYERS = {"full_attention", "sliding_attention"}  # others carry a state along the row, over the boundaries


def packed(examples: Sequence[Encoded]) -> dict[str, Any]:
    """One row (1, t) of all tokens; labels (1, k + 1) of the k completion tokens, and where those are predicted."""
    ids = [(*example.prompt, *example.completion) for example in examples]
    learned = list(chain.from_iterable(example.completion for example in examples))
    return {
        "input_ids": torch.tensor([list(chain.from_iterable(ids))]),
        "position_ids": torch.tensor([list(chain.from_iterable(range(len(row)) for row in ids))]),
        "segments": tuple(map(len, ids)),
        "labels": torch.tensor([[IGNORED, *learned]]),
        "logits_to_keep": torch.tensor(_predicting(examples)),
    }


def enable(model: PreTrainedModel) -> None:
    """Let a model compute attention example by example where a batch is packed."""
    model.set_attn_implementation(ATTENTION)


def reason_against(model: PreTrainedModel, max_tokens: int) -> str | None:
    """Why examples cannot be packed for this model, if they cannot."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or {"full_attention"})
    if model.config._attn_implementation not in ("sdpa", ATTENTION):
        return f"its attention is {model.config._attn_implementation}, not sdpa"
    if not kinds <= PACKABLE_LAYERS:
        return f"its layers carry a state along the row: {', '.join(sorted(kinds - PACKABLE_LAYERS))}"
    window = getattr(config, "sliding_window", None)
    if window is not None and window < max_tokens:
        return f"its attention reaches back {window} tokens only, and max_tokens is {max_tokens}"
    return None


def _predicting(examples: Sequence[Encoded]) -> list[int]:
    """The places whose logits predict a completion token: one before each."""
    places, start = [], 0
    for example in examples:
        first = start + len(example.prompt) - 1
        places += range(first, first + len(example.completion))
        start += len(example)
    return places


def _attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    segments: tuple[int, ...] | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of each segment (lengths along the row) alone; without segments, as ever. Heads are (n, h, t, d)."""
    if segments is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    parts = zip(*(states.split(segments, dim=2) for states in (query, key, value)), strict=True)
    found = [_alone(module, part, **options) for part in parts]
    return torch.cat(found, dim=1), None


def _alone(module: torch.nn.Module, part: tuple[Tensor, Tensor, Tensor], **options: Any) -> Tensor:
    """Attention of one segment: (n, t, h, d)."""
    query, key, value = part
    if query.device.type != "cpu" or query.size(2) >= WIDE_BELOW:
        return sdpa_attention_forward(module, query, key, value, None, **options)[0]
    with torch.autocast("cpu", enabled=False):  # it would narrow them again
        found = sdpa_attention_forward(module, query.float(), key.float(), value.float(), None, **options)[0]
        return found.to(query.dtype)


def _mask(*, attention_mask: Tensor | None = None, **options: Any) -> Tensor | None:
    """A packed row needs no mask; a padded batch, which brings one, needs the usual."""
    return None if attention_mask is None else sdpa_mask(**{"attention_mask": attention_mask, **options})


AttentionInterface.register(ATTENTION, _attend)
AttentionMaskInterface.register(ATTENTION, _mask)
