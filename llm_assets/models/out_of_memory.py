"""When a training runs out of memory: fewer rows at once, then a larger pool, then a failure that says all of it.

Half the micro-batch and twice the accumulation are the same step: the run keeps its key, and goes on from its last
checkpoint. What ran out is noted with what had been granted, so that the next run begins with what fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_assets.models.children import TrainingError
from llm_assets.models.memory.choosing import can_divide
from llm_assets.models.memory.peaks import smaller
from resources.accelerators.units import shown_gb

if TYPE_CHECKING:
    from llm_assets.models.memory.choosing import Choice
    from llm_assets.models.settings import TrainingSettings


class NotEnoughMemory(TrainingError):
    """Not one row at once fits, and there is no larger pool; the message has the estimate and the peak."""


@dataclass(frozen=True)
class Attempt:
    """One try at a training.

    Attributes:
        pool: that is asked for devices.
        batch: rows at once on each device; None: what is set, or what is known to fit.
        killed: times that it was killed from outside.
    """

    pool: str
    batch: int | None = None
    killed: int = 0


@dataclass(frozen=True)
class RanOut:
    """An attempt that ran out.

    Attributes:
        pool: that it had.
        batch: rows at once on each device.
        devices: how many.
        granted: bytes on each device.
        peak: the most that was measured, in bytes; None: nothing was.
        choice: how it was carried out.
        said: what the training said of it.
    """

    pool: str
    batch: int
    devices: int
    granted: int
    peak: int | None
    choice: Choice
    said: str

    def described(self) -> str:
        """For people."""
        measured = f"{shown_gb(self.peak)} at the peak" if self.peak else "no peak measured"
        plan = self.choice.plan
        estimated = f"{shown_gb(plan.corrected.peak)} estimated" if plan else "no estimate"
        return (
            f"{self.said}: {self.batch} rows at once in pool '{self.pool}' "
            f"({estimated}, {measured}, {shown_gb(self.granted)} granted on each of {self.devices} devices)"
        )


def next_attempt(ran_out: RanOut, settings: TrainingSettings) -> Attempt:
    """What to try after an attempt ran out.

    Args:
        ran_out: the attempt.
        settings: of the training.

    Raises:
        NotEnoughMemory: there is nothing left to try.
    """
    part = max(1, settings.batch // ran_out.devices)
    fewer = smaller(ran_out.batch, part)
    if fewer:
        return Attempt(ran_out.pool, fewer)
    if ran_out.choice.sharding == "ddp" and ran_out.choice.plan and can_divide(settings, ran_out.devices):
        return Attempt(ran_out.pool)  # what ran out is noted, so the model is divided
    if settings.next_pool and settings.next_pool != ran_out.pool:
        return Attempt(settings.next_pool, 1)
    raise NotEnoughMemory(f"{ran_out.described()}. {advice(settings)}")


def advice(settings: TrainingSettings) -> str:
    """The ways out of the last failure."""
    ways = ["lower training.max_tokens"]
    if settings.gradient_checkpointing is not True:
        ways.append("set training.gradient_checkpointing: true")
    if settings.method == "full":
        ways.append("take training.method: lora")
    if settings.next_pool is None:
        ways.append("name a larger pool in training.next_pool")
    return f"Nothing less than one row can be tried: {', '.join(ways[:-1])} or {ways[-1]}."


def intention(attempt: Attempt, ran_out: RanOut, settings: TrainingSettings) -> str:
    """What is done next, for the log."""
    if attempt.pool != ran_out.pool:
        return f"{ran_out.described()}; asking pool '{attempt.pool}' instead"
    if attempt.batch is None:
        return f"{ran_out.described()}; going on from the last checkpoint with the model divided over the devices"
    steps = settings.batch // ran_out.devices // attempt.batch
    return (
        f"{ran_out.described()}; going on from the last checkpoint with {attempt.batch} rows at once, {steps} times"
    )


def with_batch(settings: TrainingSettings, batch: int) -> TrainingSettings:
    """The settings with so many rows at once; they decide the same result."""
    return settings.model_copy(update={"micro_batch": batch})
