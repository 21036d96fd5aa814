"""What trainings have really taken: noted after each, and where the next estimate starts.

A peak of the same fine-tune, settings and micro-batch replaces the estimate. Of the same model and settings with
another micro-batch, or with another fine-tune's rows, which may be longer, the estimate is scaled by measured over
estimated for the rows that there were, within bounds: further off means that something else was measured.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from llm_assets.models.memory.estimate import Estimate
from llm_assets.models.memory.reading import Known
from llm_assets.models.memory.workload import Workload
from resources.digests import digest_json

if TYPE_CHECKING:
    from resources.profile import Profile
    from resources.state import State

LEAST_RATIO, MOST_RATIO = 0.5, 2.0
MEASURED_MARGIN = 0.05
"""Beyond a measured peak: the order of the rows, and how memory fragments, differ from run to run."""
From = Literal["measured", "scaled", "formulas"]


@dataclass(frozen=True)
class Corrected:
    """An estimate and what is known better.

    Attributes:
        estimate: of the formulas.
        peak: bytes on one device, as far as is known.
        asked: with the margin that this knowledge needs.
        source: a peak that was `measured`, a `scaled` estimate, or the `formulas` alone.
    """

    estimate: Estimate
    peak: int
    asked: int
    source: From


@dataclass(frozen=True)
class Fact:
    """One noted training.

    Attributes:
        key: of all that decides its memory.
        fine_tune: whose rows it had, `tenant/name`.
        checkpointing: whether activations were computed again.
        batch: rows at once on each device.
        estimated, peak: bytes, both for the rows that there were; a peak of None was not measured.
        run_out: the smallest grant, in bytes on one device, that was not enough; None: it never ran out.
    """

    key: str
    fine_tune: str
    checkpointing: bool
    batch: int
    estimated: int
    peak: int | None
    run_out: int | None


def facts_of(known: Known, workload: Workload, fine_tune: str) -> dict[str, Any]:
    """What decides the memory of a training, by name; the fine-tune stands for how long its rows really are."""
    decisive = {name: getattr(workload, name) for name in DECISIVE}
    return {"model": known.digest, "fine_tune": fine_tune, **decisive}


DECISIVE = (
    "method",
    "batch",
    "tokens",
    "matrix_width",
    "compute_width",
    "adapter_rank",
    "adapter_layers",
    "adapter_dropout",
    "accumulated",
    "devices",
    "sharding",
    "checkpointing",
    "on",
)
WITHIN_A_FAMILY = ("fine_tune", "batch", "accumulated", "checkpointing")


def key_of(facts: Mapping[str, Any]) -> str:
    """Names one combination."""
    return digest_json(dict(facts))[:24]


def family_of(facts: Mapping[str, Any]) -> str:
    """Names all combinations that one ratio of measured to estimated serves."""
    return digest_json({name: value for name, value in facts.items() if name not in WITHIN_A_FAMILY})[:24]


def corrected(estimate: Estimate, facts: Mapping[str, Any], noted: Sequence[Fact]) -> Corrected:
    """The estimate, with what was measured.

    Args:
        estimate: of the formulas.
        facts: from `facts_of`.
        noted: of the same family.
    """
    same = next((fact for fact in noted if fact.key == key_of(facts) and fact.peak and not fact.run_out), None)
    if same is not None and same.peak:
        return Corrected(estimate, same.peak, round(same.peak * (1 + MEASURED_MARGIN)), "measured")
    ratios = [fact.peak / fact.estimated for fact in noted if fact.peak and fact.estimated and not fact.run_out]
    if not ratios:
        return Corrected(estimate, estimate.peak, estimate.asked, "formulas")
    peak = round(estimate.peak * min(MOST_RATIO, max(LEAST_RATIO, median(ratios))))
    return Corrected(estimate, peak, round(peak * (1 + estimate.margin)), "scaled")


def batch_that_fits(batch: int, part: int, granted: int, noted: Sequence[Fact]) -> int | None:
    """The micro-batch to begin with: below what ran out of no smaller a grant. None: one row ran out.

    Args:
        batch: that is wanted.
        part: rows of a step on each device.
        granted: bytes of each device.
        noted: of the same fine-tune.
    """
    too_many = [fact.batch for fact in noted if fact.run_out and fact.run_out >= granted and fact.batch <= batch]
    return smaller(min(too_many), part) if too_many else batch


def smaller(batch: int, part: int) -> int | None:
    """The next smaller micro-batch, half or less, that divides a step's rows; None: there is none."""
    return next((size for size in range(batch // 2, 0, -1) if part % size == 0), None)


def note(
    state: State, facts: Mapping[str, Any], estimate: Estimate, *, peak: int | None, run_out: int | None = None
) -> None:
    """Keep what a training took, or that it ran out.

    Args:
        state: the state database.
        facts: from `facts_of`.
        estimate: of the formulas, for the rows that there were.
        peak: bytes that were measured on one device.
        run_out: bytes that were granted and not enough.
    """
    from resources import state_schema as schema

    row = {
        "key": key_of(facts),
        "family": family_of(facts),
        "facts": dict(facts),
        "estimated": estimate.peak,
        "peak": peak,
        "run_out": run_out,
        "measured_at": time.time(),
    }
    state.put(schema.memory_peaks, [row])


def noted(state: State, facts: Mapping[str, Any]) -> list[Fact]:
    """What is known of the same family."""
    return [_fact(row) for row in state.rows(_query(facts))]


def noted_if_readable(profile: Profile, facts: Mapping[str, Any]) -> list[Fact]:
    """As `noted`, while definitions load: reads only, makes no database, and is empty where there is none to read."""
    import sqlalchemy as sa
    from sqlalchemy.exc import SQLAlchemyError

    url = sa.make_url(profile.url)
    options: dict[str, Any] = {"connect_timeout": 2}
    if url.get_backend_name() == "sqlite":
        from pathlib import Path

        if not url.database or not Path(url.database).is_file():
            return []
        options = {"timeout": 2}
    engine = sa.create_engine(url, connect_args=options)
    try:
        with engine.connect() as connection:
            return [_fact(dict(row)) for row in connection.execute(_query(facts)).mappings()]
    except SQLAlchemyError:  # no such table yet, or no database: the formulas serve
        return []
    finally:
        engine.dispose()


def _query(facts: Mapping[str, Any]) -> Any:
    import sqlalchemy as sa

    from resources.state_schema import memory_peaks

    return sa.select(memory_peaks).where(memory_peaks.c.family == family_of(facts))


def _fact(row: Mapping[str, Any]) -> Fact:
    facts = row["facts"]
    whose, checkpointing, batch = facts["fine_tune"], facts["checkpointing"], facts["batch"]
    return Fact(row["key"], whose, checkpointing, batch, row["estimated"], row["peak"], row["run_out"])
