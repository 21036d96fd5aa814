"""Where bars lie in a picture so that none covers another: by height on a device, or in as few lanes as will do."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def offsets(bars: Sequence[tuple[float, float, float]]) -> list[float]:
    """The lowest free place of each bar, bottom first, in a row of height 1.

    Args:
        bars: start, end and height of each; heights that overlap in time sum to 1 at most.

    Returns:
        The lower edge of each. Where the free height is in pieces too small for a bar, it covers what is on top.
    """
    lower = [0.0] * len(bars)
    live: list[int] = []
    for index in sorted(range(len(bars)), key=lambda i: bars[i][:2]):
        start, _, height = bars[index]
        live = [other for other in live if bars[other][1] > start]
        lower[index] = _lowest(height, sorted((lower[other], lower[other] + bars[other][2]) for other in live))
        live.append(index)
    return lower


def _lowest(height: float, taken: Sequence[tuple[float, float]]) -> float:
    place = 0.0
    for bottom, top in taken:
        if bottom - place >= height - 1e-9:
            break
        place = max(place, top)
    return max(0.0, min(place, 1.0 - height))


def lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """The lane of each span of start and end: as few lanes as will do, the lowest free one first."""
    lane = [0] * len(spans)
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    used = 0
    for index in sorted(range(len(spans)), key=lambda i: spans[i]):
        start, end = spans[index]
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if not free:
            free, used = [used], used + 1
        lane[index] = heapq.heappop(free)
        heapq.heappush(busy, (end, lane[index]))
    return lane
