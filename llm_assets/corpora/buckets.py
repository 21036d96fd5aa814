"""The parts of a large corpus that several runs or hosts work on side by side: documents, spread by their identity.

A bucket is a Dagster partition. What the tables hold does not know of buckets, so their number can change at any
time: nothing is parsed or embedded again because a document lies in another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

MOST = 1000  # partitions of an asset; some thousands make Dagster's pages slow
_DIGITS = 12  # of the hexadecimal identity: more than enough to spread evenly


@dataclass(frozen=True)
class Buckets:
    """Those that a step works on.

    Attributes:
        count: of the corpus.
        chosen: their numbers; None: all of the corpus.
    """

    count: int = 1
    chosen: frozenset[int] | None = None

    @classmethod
    def of_keys(cls, count: int, keys: Iterable[str]) -> Self:
        """Those with the names of partitions."""
        chosen = frozenset(int(key) for key in keys)
        return cls(count, None if len(chosen) == count else chosen)

    def holds(self, doc_id: str) -> bool:
        """Whether a document is in one of them."""
        return self.chosen is None or bucket_of(doc_id, self.count) in self.chosen

    @property
    def keys(self) -> list[str]:
        """Their names, in order."""
        return [
            key for number, key in enumerate(bucket_keys(self.count)) if self.chosen is None or number in self.chosen
        ]


WHOLE = Buckets()


def bucket_of(doc_id: str, count: int) -> int:
    """The number of a document's bucket."""
    return int(doc_id[:_DIGITS], 16) % count


def bucket_keys(count: int) -> list[str]:
    """The names of a corpus's partitions: `00`, `01`, …"""
    width = len(str(count - 1))
    return [f"{number:0{width}}" for number in range(count)]
