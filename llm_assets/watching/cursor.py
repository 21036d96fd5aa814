"""What the sensor remembers from tick to tick: a digest and some numbers a source, never names of files.

The cursor only saves work. What was run is read from Dagster, so that a cursor that is lost, damaged or of another
version starts over, and no run is doubled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

VERSION = 1


@dataclass(frozen=True)
class Seen:
    """What the last tick saw of one source.

    Attributes:
        version: of its last listing, with the settings of what reads it.
        files: how many were listed.
        since: when files began to arrive without settling, seconds since the epoch; 0 while they do not.
        done: the version that everything behind it is known to be up to date with.
        failures: listings in a row that failed.
    """

    version: str = ""
    files: int = 0
    since: float = 0.0
    done: str = ""
    failures: int = 0


def dumps(seen: Mapping[str, Seen]) -> str:
    """The cursor as text."""
    return json.dumps({"version": VERSION, "sources": {name: asdict(one) for name, one in seen.items()}})


def loads(text: str | None) -> dict[str, Seen]:
    """The cursor from text; empty for one that is damaged or of another version."""
    try:
        found = json.loads(text or "{}")
        if found.get("version") != VERSION:
            return {}
        return {str(name): _seen(one) for name, one in found["sources"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _seen(one: Mapping[str, object]) -> Seen:
    expected = asdict(Seen())
    if one.keys() != expected.keys() or any(
        not isinstance(one[name], (int, float) if isinstance(value, float) else type(value))
        for name, value in expected.items()
    ):
        raise ValueError("another shape")
    return Seen(**one)  # pyright: ignore[reportArgumentType]  (the shape was checked)
