"""What XLA needs: it compiles a program for each shape that it meets, which takes longer than many steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F

from llm_assets.training.encoding import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 32  # tokens

Collator = Callable[[list[Any]], dict[str, Any]]


def bucket(length: int) -> int:
    """The width that a length is padded to: 32, 48, 64, 96, 128, 192, … At most a third of it is padding above 32."""
    width = SMALLEST
    while width < length:
        width = width * 3 // 2 if width & (width - 1) == 0 else width * 4 // 3
    return width


def in_buckets(collate: Collator) -> Collator:
    """A collator whose batches come in few widths: padded on the left once more, where nothing is seen or learned."""

    def collated(examples: list[Any]) -> dict[str, Any]:
        return widened(collate(examples))

    return collated


def widened(batch: dict[str, Any]) -> dict[str, Any]:
    """A batch in its bucket's width. What is added is masked, has no label, and is at position 0."""
    width = bucket(batch["input_ids"].shape[1])
    learned = min(bucket(batch["labels"].shape[1]), width)
    inputs = ("input_ids", "attention_mask", "position_ids")
    return {
        **batch,
        **{name: _padded(batch[name], width, 0) for name in inputs},
        "labels": _padded(batch["labels"], learned, IGNORED),
        "logits_to_keep": learned,
    }


def compilations() -> dict[str, int]:
    """How many programs this process compiled, and how many it read from the cache of an earlier training."""
    import torch_xla.debug.metrics as metrics  # pyright: ignore[reportMissingImports]  (in the TPU environment)

    read = metrics.counter_value("PersistentCacheHit") or 0
    wanted = (metrics.metric_data("CompileTime") or (0,))[0]
    return {"programs_compiled": int(wanted), "programs_read": int(read)}


def _padded(rows: Tensor, width: int, value: int) -> Tensor:
    return F.pad(rows, (width - rows.shape[1], 0), value=value)
