"""Tags that refine a pool's request: `accelerator/memory_gb: 24` on an op, an asset or a run. Plain Python."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from resources.accelerators.errors import RequestError

PREFIX = "accelerator/"
MARKS = frozenset({"pool"})
"""Tags that assets carry for Dagster's own limits; they ask for nothing."""
IMPOSSIBLE_TAG = "llm-assets/if_impossible"
"""An op's own words to whoever reads that no device can ever hold what it asks for."""
OF_THE_RUN = frozenset({"tenant", "priority", "deadline", "preemptible"})
"""They mean every step of a run alike, so their short form is never ambiguous."""
YES_OR_NO = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
MOST_SECONDS = 10 * 365 * 86400


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the work should be finished.

    Attributes:
        seconds: after the submission, or since the epoch.
        absolute: which of the two.
    """

    seconds: float
    absolute: bool

    def since_epoch(self, submitted: float) -> float:
        """Seconds since the epoch, for a request that was submitted then."""
        return self.seconds if self.absolute else submitted + self.seconds


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag that was understood.

    Attributes:
        name: as it was written.
        value: what it says.
    """

    name: str
    value: object


def parse(name: str, field: str, text: str) -> Tag:
    """Read the value of a tag.

    Raises:
        RequestError: the field is unknown or the value is not permitted; says what is.
    """
    if field not in FIELDS:
        raise RequestError(f"tag {name}: there is no '{field}'; permitted are {', '.join(sorted(FIELDS))}")
    reader, permitted = FIELDS[field]
    try:
        return Tag(name, reader(text.strip()))
    except (ValueError, OverflowError, RecursionError):  # the last from thousands of brackets in JSON
        raise RequestError(f"tag {name}: '{text[:100]}' is not permitted; it takes {permitted}") from None


def short_tags(tags: Mapping[str, str]) -> dict[str, Tag]:
    """Field to tag, of tags that are written in the short form, `accelerator/<field>`.

    Raises:
        RequestError: see `parse`.
    """
    found: dict[str, Tag] = {}
    for name, text in tags.items():
        field = name.removeprefix(PREFIX)
        if field != name and "/" not in field and field not in MARKS:
            found[field] = parse(name, field, text)
    return found


def scoped_tags(tags: Mapping[str, str]) -> dict[str, dict[str, Tag]]:
    """Scope to field to tag, of tags that are written `accelerator/<pool, asset or step>/<field>`.

    Raises:
        RequestError: see `parse`.
    """
    found: dict[str, dict[str, Tag]] = {}
    for name, text in tags.items():
        scope, slash, field = name.removeprefix(PREFIX).rpartition("/")
        if name.startswith(PREFIX) and slash:
            found.setdefault(scope, {})[field] = parse(name, field, text)
    return found


def _number(low: float, high: float, *, open_low: bool = True) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not math.isfinite(value) or not low <= value <= high or (open_low and value == low):
            raise ValueError
        return value

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return read


def _yes_or_no(text: str) -> bool:
    if text.lower() not in YES_OR_NO:
        raise ValueError
    return YES_OR_NO[text.lower()]


def _one_of(*permitted: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in permitted:
            raise ValueError
        return text

    return read


def _link(text: str) -> str | None:
    if text in ("nvlink", "rdma", "site"):
        return text
    return "nvlink" if _yes_or_no(text) else None


def _names(text: str) -> list[str]:
    names = json.loads(text) if text.startswith("[") else text.split(",")
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError
    return [name.strip() for name in names]


def _name(text: str) -> str:
    if not text or len(text) > 200 or not text.isprintable():
        raise ValueError
    return text


def _deadline(text: str) -> Deadline:
    try:
        return Deadline(_number(0, MOST_SECONDS)(text), absolute=False)
    except ValueError:
        when = datetime.fromisoformat(text)
    return Deadline((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp(), absolute=True)


_GB = "decimal GB, a number above 0 and at most 1000000"

FIELDS: Mapping[str, tuple[Callable[[str], object], str]] = {
    "memory_gb": (_number(0, 1_000_000), _GB),
    "devices": (_whole(1, 100_000), "a whole number from 1 to 100000"),
    "linked": (_link, "nvlink, rdma, site, true or false"),
    "share": (_yes_or_no, "true or false"),
    "compute": (_number(0, 1), "a share of one device, above 0 and at most 1"),
    "kind": (_one_of("gpu", "tpu", "cpu"), "gpu, tpu or cpu"),
    "models": (_names, "names of the catalogue, with commas between them"),
    "cpus": (_number(0, 100_000), "a number of cores above 0 and at most 100000"),
    "host_memory_gb": (_number(0, 1_000_000), _GB),
    "priority": (_whole(-1000, 1000), "a whole number from -1000 to 1000"),
    "deadline": (_deadline, "a time (2030-01-31T18:00:00+01:00; UTC without an offset) or seconds after submission"),
    "tenant": (_name, "a name of at most 200 characters"),
    "preemptible": (_yes_or_no, "true or false"),
    "expected_minutes": (_number(0, 525_600), "minutes, above 0 and at most 525600"),
}
"""Each field of a tag, how it is read, and what people are told it takes."""
