"""torch keeps to the part of a shared device that was granted to it."""

from __future__ import annotations

import os

FRACTION_VARIABLE = "LLM_ASSETS_MEMORY_FRACTION"  # set by a lease that shares its device: above 0, at most 1


def limit_memory() -> None:
    """Let this process allocate no more of each visible CUDA device than its lease's fraction.

    A request above it fails in this process with torch's OutOfMemoryError, instead of in a neighbour's.

    Raises:
        ValueError: the variable is no fraction.
    """
    given = os.environ.get(FRACTION_VARIABLE)
    if not given:
        return
    fraction = float(given)
    if not 0 < fraction <= 1:
        raise ValueError(f"{FRACTION_VARIABLE} is {given}: it must be above 0 and at most 1")
    import torch

    for device in range(torch.cuda.device_count()):
        torch.cuda.set_per_process_memory_fraction(fraction, device)
