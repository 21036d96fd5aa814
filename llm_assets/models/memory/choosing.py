"""How a training is carried out on what it was granted: sharding, rows at once, how many activations can be kept.

Decided here, once, before the processes start: several ranks that each looked at what is free would disagree.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_assets.models.memory.asking import Plan, plan, sharding_of
from llm_assets.models.memory.estimate import Estimate, estimate
from llm_assets.models.memory.peaks import batch_that_fits
from llm_assets.models.memory.planned import On, rows_at_once
from llm_assets.models.memory.reading import NotHere

if TYPE_CHECKING:
    from llm_assets.models.launching import Sharding
    from llm_assets.models.settings import FineTuneSpec, TrainingSettings
    from resources.profile import Profile


@dataclass(frozen=True)
class Choice:
    """How a training is carried out.

    Attributes:
        batch: rows at once on each device.
        sharding: how several devices share the model.
        plan: of it so, with activations kept unless the settings say otherwise; None: the model's shape is not known.
        kept_tokens: the most tokens at once whose activations can be kept; None: not known.
    """

    batch: int
    sharding: Sharding
    plan: Plan | None = None
    kept_tokens: int | None = None

    def carried_out(self, *, checkpointing: bool | None = None, tokens: int | None = None) -> Carried | None:
        """The plan as it really was carried out, to be noted.

        Args:
            checkpointing: whether activations were computed again; None: not known, as planned.
            tokens: the most at once; None: not known, as planned.
        """
        if self.plan is None:
            return None
        work = self.plan.workload
        done = self.plan.of(checkpointing=work.checkpointing if checkpointing is None else checkpointing)
        real = replace(done.workload, tokens=-(-tokens // self.batch) if tokens else work.tokens)
        return Carried(done.facts(), estimate(done.known.shape, real))


@dataclass(frozen=True)
class Carried:
    """What names a training among those that were noted, and the estimate for the rows that it had."""

    facts: dict[str, Any]
    estimate: Estimate


def choose(
    spec: FineTuneSpec, profile: Profile, *, on: On, devices: int, granted: int, batch: int | None = None
) -> Choice:
    """Decide from the settings, the estimates and what earlier runs took.

    Every device has the whole model where that fits, if need be with activations computed again; else it is divided.

    Args:
        spec: the fine-tune.
        profile: where earlier runs are noted.
        on: the kind of device.
        devices: how many train together.
        granted: bytes of each.
        batch: rows at once, where that is settled; else as many as are set, below what ran out before.
    """
    settings = spec.settings.training
    wanted = batch or rows_at_once(settings, devices)
    choice = Choice(wanted, sharding_of(settings))
    for sharding in _shardings(settings, devices):
        try:
            planned = plan(spec, profile, on=on, devices=devices, sharding=sharding)
        except NotHere:
            return choice
        rows = batch_that_fits(wanted, settings.batch // devices, granted, _own(planned, settings))
        planned = _with_rows(planned, rows or 1, settings)
        choice = Choice(rows or 1, sharding, planned, _kept_tokens(planned, granted))
        sparing = settings.gradient_checkpointing is not False
        if rows and planned.of(checkpointing=sparing).corrected.asked <= granted:
            return choice
    return choice


def can_divide(settings: TrainingSettings, devices: int) -> bool:
    """Whether dividing the model is left to us, and possible."""
    return settings.sharding == "auto" and settings.method != "qlora" and devices > 1


def _shardings(settings: TrainingSettings, devices: int) -> tuple[Sharding, ...]:
    return ("ddp", "fsdp") if can_divide(settings, devices) else (sharding_of(settings),)


def _own(planned: Plan, settings: TrainingSettings) -> list[Any]:
    """What this fine-tune's rows took before. What ran out with activations kept says nothing of a run without."""
    own = [fact for fact in planned.noted if fact.fine_tune == planned.fine_tune]
    return [fact for fact in own if fact.checkpointing or settings.gradient_checkpointing is not True]


def _with_rows(planned: Plan, rows: int, settings: TrainingSettings) -> Plan:
    return planned.of(batch=rows, accumulated=rows * planned.devices < settings.batch)


def _kept_tokens(planned: Plan, granted: int) -> int:
    """Rows are taken to be of one length, up to `max_tokens`."""
    most = planned.workload.tokens
    if planned.corrected.asked > granted:
        lengths = range(1, most)
        most = bisect_right(lengths, granted, key=lambda length: planned.of(tokens=length).corrected.asked)
    return planned.workload.batch * most
