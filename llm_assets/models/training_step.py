"""The step that trains: devices, a child process, as many attempts as memory needs, and what is reported of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.models import fine_tune, metadata, tracked, training_set
from llm_assets.models.children import OutOfMemory
from llm_assets.models.launching import Sharding, layout_of
from llm_assets.models.memory.asking import Plan, plan, ways_out
from llm_assets.models.memory.peaks import batch_that_fits, facts_of, note
from llm_assets.models.memory.planned import On, rows_at_once
from llm_assets.models.memory.reading import NotHere
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
    """Where no device can ever hold it, the failure says what would need less."""
    try:
        yield
    except dg.Failure as failure:
        if not isinstance(failure.__cause__, ImpossibleRequest):
            raise
        ways = [f"{name} needs {shown_gb(count)}" for name, count in ways_out(spec)]
        less = f" Less on each device: {'; '.join(ways)}." if ways else ""
        raise dg.Failure(f"{failure.description}{less}", allow_retries=False) from failure.__cause__


def _try(
    context: dg.AssetExecutionContext, opened: Platform, held: HeldLease, spec: FineTuneSpec, attempt: Attempt
) -> dg.MaterializeResult | Attempt:
    rows = training_set.load_training_set(opened, spec)
    run, started = fine_tune.open_run(opened, spec, rows), time.monotonic()
    planned = _plan(opened, held, spec)
    batch = attempt.batch or _batch(held, spec, planned)
    if batch != rows_at_once(spec.settings.training, len(held.devices)):
        context.log.info(f"{spec.id}: {batch} rows at once")
    run = replace(run, settings=with_batch(run.settings, batch))
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
                        layout=layout_of(held, _sharding(held, run, planned), opened.cache / "xla"),
                    ),
                )
    except OutOfMemory as error:
        if held.trees.closed and not held.usage.exceeded:
            raise  # the devices were taken back, and the process killed for it
        return _after(context, opened, held, spec, attempt, RanOutWith(error, batch, planned))
    noted = _note_peak(opened, held, run, planned, batch) if trained else {}
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

    error: OutOfMemory
    batch: int
    planned: Plan | None


def _plan(opened: Platform, held: HeldLease, spec: FineTuneSpec) -> Plan | None:
    """Of the devices that were granted; None where the model's shape is not known."""
    kinds: set[On] = {device.kind for device in held.devices.values() if not device.pretended}
    on: On = kinds.pop() if len(kinds) == 1 else "cpu"  # pretended devices are processes on the CPU
    try:
        return plan(spec, opened.profile, on=on, devices=max(1, len(held.devices)))
    except NotHere:
        return None


def _batch(held: HeldLease, spec: FineTuneSpec, planned: Plan | None) -> int:
    settings, devices = spec.settings.training, max(1, len(held.devices))
    wanted = rows_at_once(settings, devices)
    if planned is None:
        return wanted
    return batch_that_fits(wanted, settings.batch // devices, granted(held), planned.noted)


def _sharding(held: HeldLease, run: fine_tune.Run, planned: Plan | None) -> Sharding:
    """As it is set; by itself the model is divided where all of it does not fit one device."""
    settings = run.settings
    if settings.sharding != "auto" or settings.method == "qlora" or planned is None or planned.devices == 1:
        return "fsdp" if settings.sharding == "fsdp" else "ddp"
    return "fsdp" if planned.corrected.asked > granted(held) else "ddp"


def granted(held: HeldLease) -> int:
    """Bytes on each device of a lease."""
    return min((share.memory for share in held.lease.shares), default=0)


def _with(planned: Plan, batch: int, settings: Any) -> dict[str, Any]:
    accumulated = batch * planned.devices < settings.batch
    return facts_of(planned.known, replace(planned.workload, batch=batch, accumulated=accumulated))


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
    peak = max(ran.error.peak_bytes or 0, held.usage.peak // devices) or None
    if ran.planned:
        facts = _with(ran.planned, ran.batch, settings)
        note(opened.state, facts, ran.planned.corrected.estimate, peak=peak, run_out=granted(held))
    said = str(ran.error).partition("\n")[0].rstrip(".")
    ran_out = RanOut(attempt.pool, ran.batch, devices, granted(held), peak, ran.planned, said)
    following = next_attempt(ran_out, settings)
    context.log.warning(f"{spec.id}: {intention(following, ran_out, settings)}")
    return following


def _note_peak(
    opened: Platform, held: HeldLease, run: fine_tune.Run, planned: Plan | None, batch: int
) -> dict[str, str | int]:
    """Keep what it took for the next estimate; returns it for people."""
    peak = max(run.summary.get("peak_memory_bytes") or 0, held.usage.peak // max(1, len(held.devices)))
    found: dict[str, str | int] = {"rows at once": batch}
    if planned is None:
        return found
    note(opened.state, _with(planned, batch, run.settings), planned.corrected.estimate, peak=peak or None)
    return found | {"estimated memory": f"{shown_gb(planned.corrected.peak)} ({planned.corrected.source})"}
