"""Times, sizes and tables as a person on call reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

MOST_RANGES = 8
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def lasting(seconds: float) -> str:
    """`8 s`, `3 min`, `2 h 05 min`, `3 d 4 h`."""
    whole = round(max(0.0, seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 2 * 3600:
        return f"{whole // 60} min"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def moment(text: str, now: float) -> float:
    """Seconds since the epoch of `2030-01-31`, `2030-01-31T18:00` (UTC without an offset), or `90m`, `24h`, `7d` ago.

    Raises:
        ValueError: it is none of them.
    """
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text):
        return now - float(match[1]) * UNITS[match[2]]
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows with their cells under each other; numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [f"{indent}{'  '.join(map(_cell, row, widths))}".rstrip() for row in rows]


def _cell(text: str, width: int) -> str:
    return text.rjust(width) if re.fullmatch(r"[\d.,~]+( (GB|h|kWh|s))?|\$[\d.,]+~?", text) else text.ljust(width)


def ranges(names: Sequence[str]) -> str:
    """`node/gpu0-2, node/gpu4`: names that differ only in a last number, which goes up by one, share a range."""
    found: list[tuple[str, int, int]] = []  # what is before the number, the first and the last number; -1: none
    for name in names:
        match = re.fullmatch(r"(.*/[a-z]+)(\d+)", name)
        start, number = (match[1], int(match[2])) if match else (name, -1)
        if found and match and found[-1][0] == start and found[-1][2] == number - 1:
            found[-1] = start, found[-1][1], number
        else:
            found.append((start, number, number))
    shown = [
        start if last < 0 else f"{start}{first}" + (f"-{last}" if last > first else "")
        for start, first, last in found
    ]
    return ", ".join(shown[:MOST_RANGES]) + (f" … ({len(names)} in all)" if len(shown) > MOST_RANGES else "")


def as_json(value: Any) -> str:
    """Plain values as JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2)
