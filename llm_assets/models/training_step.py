"""The step that trains: devices, a child process, as many attempts as memory needs, and what is reported of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.models import fine_tune, metadata, tracked, training_set
from llm_assets.models.children import Killed, OutOfMemory
from llm_assets.models.launching import layout_of
from llm_assets.models.memory.asking import needs
from llm_assets.models.memory.choosing import Choice, choose
from llm_assets.models.memory.peaks import note
from llm_assets.models.memory.planned import On, rows_at_once
from llm_assets.models.out_of_memory import Attempt, RanOut, intention, next_attempt, with_batch
from llm_assets.models.pipes import in_child
from llm_assets.training.requirements import missing_for
from resources.accelerators.configuration import load_accelerators
from resources.accelerators.errors import ImpossibleRequest
from resources.accelerators.units import shown_gb

if TYPE_CHECKING:
    from llm_assets.models.settings import FineTuneSpec
    from llm_assets.stages import Stages
    from resources.accelerators.held import HeldLease
    from resources.accelerators.resource import AcceleratorResource
    from resources.dagster_platform import PlatformResource
    from resources.platform import Platform

KILLED_AT_MOST = 2  # times that one step goes on after it


def tune(
    context: dg.AssetExecutionContext,
    stages: Stages,
    platform: PlatformResource,
    accelerator: AcceleratorResource,
    spec: FineTuneSpec,
) -> dg.MaterializeResult:
    """Train until it is done, with fewer rows at once or on a larger pool where memory runs out.

    Args:
        context: of the step.
        stages: of the fine-tune.
        platform, accelerator: its resources.
        spec: the fine-tune, with what the launchpad changed.

    Raises:
        dg.Failure: it cannot be done; says why, and what can be.
    """
    if missing := missing_for(spec.settings.training.method):  # said before a device is waited for
        raise dg.Failure(f"{spec.id}: training.{missing}", allow_retries=False)
    attempt = Attempt(spec.settings.training.pool)
    while True:
        asks = _asks(attempt, spec)
        with _ways_out_said(spec), stages.leased(context, platform, accelerator, attempt.pool, asks=asks) as held:
            outcome = _try(context, *held, spec, attempt)
        if isinstance(outcome, dg.MaterializeResult):
            return outcome
        if outcome.pool != attempt.pool:
            accelerator.give_back(context)  # nothing is held while the other pool's devices are waited for
        attempt = outcome


def _asks(attempt: Attempt, spec: FineTuneSpec) -> Mapping[str, str]:
    """The next pool is asked for its own memory, not for what the step was given for the first."""
    if attempt.pool == spec.settings.training.pool:
        return {}
    pool = load_accelerators().pools.get(attempt.pool)
    return {f"accelerator/{attempt.pool}/memory_gb": f"{pool.memory_gb:g}"} if pool else {}


@contextmanager
def _ways_out_said(spec: FineTuneSpec) -> Iterator[None]:
    """Where no device can ever hold it, the failure says what it needs, and what would need less."""
    try:
        yield
    except dg.Failure as failure:
        if not isinstance(failure.__cause__, ImpossibleRequest):
            raise
        said = f"{failure.description} {needs(spec)}".rstrip()
        raise dg.Failure(said, allow_retries=False) from failure.__cause__


def _try(
    context: dg.AssetExecutionContext, opened: Platform, held: HeldLease, spec: FineTuneSpec, attempt: Attempt
) -> dg.MaterializeResult | Attempt:
    rows = training_set.load_training_set(opened, spec)
    run, started = fine_tune.open_run(opened, spec, rows), time.monotonic()
    choice = _chosen(opened, held, spec, attempt)
    if choice.batch != rows_at_once(spec.settings.training, len(held.devices)):
        context.log.info(f"{spec.id}: {choice.batch} rows at once")
    run = replace(run, settings=with_batch(run.settings, choice.batch))
    trained = not run.finished
    try:
        with tracked.training(opened, spec, run, context.run.run_id) as told:
            if trained:
                in_child(
                    context,
                    held.start,
                    lambda start, each: fine_tune.train(
                        run,
                        spec,
                        rows,
                        start=start,
                        each=told.beside(each),
                        layout=layout_of(held, choice.sharding, opened.cache / "xla"),
                        kept_tokens=choice.kept_tokens,
                    ),
                )
    except (OutOfMemory, Killed) as error:
        if held.trees.closed and not held.usage.exceeded:
            raise  # the devices were taken back, and the process killed for it
        if isinstance(error, Killed) and not held.usage.exceeded:
            return _again(context, spec, attempt, error)
        return _after(context, opened, held, spec, attempt, RanOutWith(error, choice))
    noted = _note_peak(opened, held, run, choice) if trained else {}
    fine_tune.remember_run(opened, spec, run)
    documents = fine_tune.remember_documents(opened, spec, run, rows)
    seconds = time.monotonic() - started if trained else 0.0
    told_of = {
        **metadata.of_tuned_model(run, trained, seconds, documents),
        **held.metadata(),
        **tracked.where(opened),
    }
    return dg.MaterializeResult(data_version=dg.DataVersion(run.version), metadata={**told_of, **noted})


@dataclass(frozen=True)
class RanOutWith:
    """What an attempt ran out with."""

    error: OutOfMemory | Killed
    choice: Choice


def _chosen(opened: Platform, held: HeldLease, spec: FineTuneSpec, attempt: Attempt) -> Choice:
    """For the devices that were granted."""
    kinds: set[On] = {device.kind for device in held.devices.values() if not device.pretended}
    on: On = kinds.pop() if len(kinds) == 1 else "cpu"  # pretended devices are processes on the CPU
    devices = max(1, len(held.devices))
    return choose(spec, opened.profile, on=on, devices=devices, granted=granted(held), batch=attempt.batch)


def granted(held: HeldLease) -> int:
    """Bytes on each device of a lease."""
    return min((share.memory for share in held.lease.shares), default=0)


def _again(context: dg.AssetExecutionContext, spec: FineTuneSpec, attempt: Attempt, error: Killed) -> Attempt:
    """As before: who kills a training does not say that it was too large. Not for ever."""
    if attempt.killed == KILLED_AT_MOST:
        raise error
    context.log.warning(f"{spec.id}: {error}; going on from the last checkpoint")
    return replace(attempt, killed=attempt.killed + 1)


def _after(
    context: dg.AssetExecutionContext,
    opened: Platform,
    held: HeldLease,
    spec: FineTuneSpec,
    attempt: Attempt,
    ran: RanOutWith,
) -> Attempt:
    """Note it, and decide what to try next."""
    settings, devices = spec.settings.training, max(1, len(held.devices))
    measured = ran.error.peak_bytes if isinstance(ran.error, OutOfMemory) else None
    peak = max(measured or 0, held.usage.peak // devices) or None
    if carried := ran.choice.carried_out():
        note(opened.state, carried.facts, carried.estimate, peak=peak, run_out=granted(held))
    said = str(ran.error).partition("\n")[0].rstrip(".")
    ran_out = RanOut(attempt.pool, ran.choice.batch, devices, granted(held), peak, ran.choice, said)
    following = next_attempt(ran_out, settings)
    context.log.warning(f"{spec.id}: {intention(following, ran_out, settings)}")
    return following


def _note_peak(opened: Platform, held: HeldLease, run: fine_tune.Run, choice: Choice) -> dict[str, str | int]:
    """Keep what it took for the next estimate; returns it for people."""
    summary = run.summary
    peak = max(summary.get("peak_memory_bytes") or 0, held.usage.peak // max(1, len(held.devices)))
    found: dict[str, str | int] = {"rows at once": choice.batch}
    done = choice.carried_out(checkpointing=summary["gradient_checkpointing"], tokens=summary["tokens_at_once"])
    if done is None or choice.plan is None:
        return found
    note(opened.state, done.facts, done.estimate, peak=peak or None)
    known = choice.plan.corrected
    return found | {"estimated memory": f"{shown_gb(known.peak)} ({known.source})"}
