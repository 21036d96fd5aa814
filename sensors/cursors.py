"""Cursors that are a time: read so that a damaged one costs a second look at some past, and nothing else."""

import math
import time


def beginning(cursor: str | None, first_seconds: float) -> float:
    """Seconds since the epoch from which is looked; a missing, foreign or damaged cursor: so many seconds ago."""
    latest = time.time()
    try:
        at = float(cursor or "nan")
    except ValueError:
        at = math.nan
    return at if 0 <= at <= latest else latest - first_seconds
