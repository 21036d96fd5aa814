"""Who asks for what, when and for how long: two dozen runs of four demands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEVICES = 8


@dataclass(frozen=True, slots=True)
class Kind:
    """Runs of one demand in one pool. They are one asset, `demand/pool`.

    Attributes:
        demand: who asks; a tenant of the ledger.
        pool: embed, inference, lora or full.
        seconds: how long its stand-in works.
        arrivals: seconds after the start at which its runs are submitted.
        priority: higher goes first.
    """

    demand: str
    pool: str
    seconds: float
    arrivals: tuple[float, ...]
    priority: int = 0

    @property
    def expected_minutes(self) -> float:
        """What its owner says that it takes: half as long again as it does."""
        return round(1.5 * self.seconds / 60, 3)

    @property
    def job(self) -> str:
        """The job that runs it."""
        return f"{self.demand}_{self.pool}"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One run."""

    at: float
    kind: Kind


KINDS = (
    Kind("service", "inference", 4, (1, 6, 6.2, 6.4, 6.6, 6.8, 17, 17.2), priority=10),
    Kind("tenant_a", "full", 9, (8, 8.5)),
    Kind("tenant_a", "lora", 7, (15, 15.5)),
    Kind("tenant_b", "full", 9, (16,)),
    Kind("tenant_b", "lora", 7, (0, 0.2, 0.4, 0.6, 18)),
    Kind("inhouse", "embed", 4, (0.8, 4, 9, 14)),
    Kind("inhouse", "lora", 5, (1.2, 1.4)),
)
"""Demand comes in waves, as it does: fine-tunes of small models first, then a wave of the consumer service, then full
fine-tunes. Under a steady mix that fits the fixed numbers below, counting would do as well."""
POOLS_GB = {"embed": 4, "inference": 16, "lora": 60, "full": 180}
DEVICES_OF = {"embed": 4 / 80, "inference": 16 / 80, "lora": 1.0, "full": 3.0}
"""Devices that one run takes, on devices of a nominal 80 GB: shares by memory, others whole."""

COUNTED = {"full": 1, "lora": 4, "inference": 3, "embed": 5}
"""Limits of Dagster's own pools. They count steps, each pool for itself, so each must be given devices of its own for
no device ever to hold too much: 3 devices for a full fine-tune, 4 for LoRA, and one for 3 × 16 + 5 × 4 = 68 GB."""

PARTS: Mapping[str, int] = {"service": 1, "tenant_a": 3, "tenant_b": 3, "inhouse": 1}
"""Devices of each demand when they are split: the smallest parts on which everything that it asks for is possible."""


def arrivals(most: int | None = None) -> list[Arrival]:
    """The runs by time of arrival; with `most` only so many, spread over the kinds."""
    all_of_them = sorted((Arrival(at, kind) for kind in KINDS for at in kind.arrivals), key=lambda one: one.at)
    if most is None or most >= len(all_of_them):
        return all_of_them
    step = len(all_of_them) / most
    return [all_of_them[int(index * step)] for index in range(most)]
