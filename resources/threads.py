"""How many CPU threads a computation takes."""

from __future__ import annotations

import os

THREADS_VARIABLE = "OMP_NUM_THREADS"  # a lease sets it in the environment of its processes


def cpu_threads(wanted: int | None = None) -> int:
    """Those that are asked for, else those of the lease, else one for each core that this process may use."""
    leased = os.environ.get(THREADS_VARIABLE, "")
    return wanted or (int(leased) if leased.isdigit() else 0) or len(os.sched_getaffinity(0))
