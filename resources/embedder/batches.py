"""Length-sorted batches under a token budget: little padding, and memory that doesn't grow with the texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices of texts in batches whose padded size (texts times longest) stays within the budget.

    Longest first, so that the first batch already shows the most memory that will be needed; equal lengths
    keep their order, so that a run can be repeated. A text longer than the budget is a batch of its own.
    """
    batch: list[int] = []
    width = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        width = width or max(1, lengths[index])
        if batch and (len(batch) + 1) * width > budget:
            yield batch
            batch, width = [], max(1, lengths[index])
        batch.append(index)
    if batch:
        yield batch
