"""What a fine-tune asks its pool for: the number in YAML, or its estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llm_assets.models.memory.estimate import estimate
from llm_assets.models.memory.peaks import Corrected, Fact, corrected, facts_of, noted_if_readable
from llm_assets.models.memory.planned import On, planned
from llm_assets.models.memory.reading import Known, NotHere, known_model
from llm_assets.models.memory.workload import Sharding, Workload
from resources.accelerators.configuration import load_accelerators
from resources.accelerators.dagster_tags import IMPOSSIBLE_TAG
from resources.accelerators.units import GB, shown_gb
from resources.profile import load_profile

if TYPE_CHECKING:
    from llm_assets.models.settings import FineTuneSpec, TrainingSettings
    from resources.profile import Profile

MEMORY_TAG = "accelerator/memory_gb"
NVIDIA = Path("/dev/nvidia0")


@dataclass(frozen=True)
class Plan:
    """A fine-tune's memory on each of its devices.

    Attributes:
        known: the base model.
        workload: what is done with it.
        corrected: the estimate, and what earlier runs say.
        devices: how many share the work.
        fine_tune: whose rows, `tenant/name`.
        noted: earlier runs of the same family.
    """

    known: Known
    workload: Workload
    corrected: Corrected
    devices: int
    fine_tune: str = ""
    noted: tuple[Fact, ...] = ()

    @property
    def total(self) -> int:
        """Bytes to ask for, over all devices."""
        return self.devices * self.corrected.asked

    def of(self, **changes: Any) -> Plan:
        """The plan with another workload of the same family."""
        return plan_of(self.known, replace(self.workload, **changes), self.fine_tune, self.noted)

    def facts(self) -> dict[str, Any]:
        """What names it among what was noted."""
        return facts_of(self.known, self.workload, self.fine_tune)


def plan_of(known: Known, workload: Workload, fine_tune: str = "", noted: tuple[Fact, ...] = ()) -> Plan:
    """The plan of a workload."""
    found = estimate(known.shape, workload)
    better = corrected(found, facts_of(known, workload, fine_tune), noted)
    return Plan(known, workload, better, workload.devices, fine_tune, noted)


def plan(
    spec: FineTuneSpec,
    profile: Profile | None = None,
    *,
    on: On | None = None,
    devices: int | None = None,
    sharding: Sharding | None = None,
) -> Plan:
    """The plan of a fine-tune, on the kind and number of devices that its pool asks for.

    Args:
        spec: the fine-tune.
        profile: where earlier runs are noted; default: the chosen target.
        on: the kind of device; by default what the pool has.
        devices: how many; by default the pool's, or one.
        sharding: how they share the model; by default as it is set, `ddp` for `auto`.

    Raises:
        NotHere: the base model's configuration is not on this machine.
    """
    profile, settings = profile or load_profile(), spec.settings.training
    known = known_model(spec.settings.model, spec.folder, profile.state_dir / "cache")
    pool = load_accelerators().pools.get(settings.pool)
    number = devices or (pool.devices if pool else None) or 1
    sharding = sharding or sharding_of(settings)
    workload = planned(settings, on or kind_of(settings.pool), devices=number, sharding=sharding)
    noted = tuple(noted_if_readable(profile, facts_of(known, workload, spec.id)))
    return plan_of(known, workload, spec.id, noted)


def ways_out(spec: FineTuneSpec, profile: Profile | None = None) -> list[tuple[str, int]]:
    """What would need less memory: each change with the bytes of one device, where it is less than now."""
    try:
        now = plan(spec, profile)
    except NotHere:
        return []
    settings = spec.settings.training
    changes: dict[str, dict[str, object]] = {"training.micro_batch: 1": {"micro_batch": 1}}
    changes["training.gradient_checkpointing: true"] = {"gradient_checkpointing": True}
    if now.workload.on == "gpu" and settings.method != "qlora":
        changes["training.method: qlora"] = {"method": "qlora"}
    found = {name: _asked(now, settings.model_copy(update=change), now.devices) for name, change in changes.items()}
    if settings.batch % (2 * now.devices) == 0 and now.workload.on == "gpu":
        found[f"{2 * now.devices} devices with sharding: fsdp"] = _asked(now, settings, 2 * now.devices)
    return sorted(((name, count) for name, count in found.items() if count < now.corrected.asked), key=lambda w: w[1])


def needs(spec: FineTuneSpec) -> str:
    """What it needs, and the ways out, for whoever reads that no device can hold what it asks for.

    Empty where the base model is not here. Read while definitions load: it must not fail.
    """
    if spec.settings.training.memory_gb is None:
        return f"That is what its pool says; training.memory_gb: auto asks for what {spec.id} needs."
    try:
        now = plan(spec).corrected
    except NotHere:
        return ""
    ways = "; ".join(f"{name} needs {shown_gb(count)}" for name, count in ways_out(spec))
    by = "as measured" if now.source == "measured" else "by the estimate"
    return f"{spec.id} needs {shown_gb(now.asked)} on each device {by}." + (f" Less: {ways}." if ways else "")


def _asked(now: Plan, settings: TrainingSettings, devices: int) -> int:
    sharding: Sharding = "fsdp" if devices > now.devices or now.workload.sharding == "fsdp" else "ddp"
    on = now.workload.on or "cpu"
    return plan_of(now.known, planned(settings, on, devices=devices, sharding=sharding)).corrected.asked


def request_tags(spec: FineTuneSpec) -> dict[str, str]:
    """Tags of the op that trains: how much memory its pool is asked for, and what is said where that is impossible.

    While definitions load this must not fail: a model that is not here yet leaves it to the pool, with a warning.
    """
    words = needs(spec)
    return _memory_tags(spec) | ({IMPOSSIBLE_TAG: words} if words else {})


def _memory_tags(spec: FineTuneSpec) -> dict[str, str]:
    """None where the pool says it itself."""
    wanted = spec.settings.training.memory_gb
    if wanted is None:
        return {}
    if wanted != "auto":
        return {MEMORY_TAG: f"{wanted:g}"}
    try:
        return {MEMORY_TAG: shown(plan(spec).total)}
    except NotHere as missing:
        pool = spec.settings.training.pool
        _warn(f"{spec.id}: training.memory_gb: auto is not known yet, so pool '{pool}' says it: {missing}")
        return {}


def shown(count: int) -> str:
    """Bytes as a tag has them: GB, rounded up to a hundredth."""
    return f"{math.ceil(count / GB * 100) / 100:g}"


def kind_of(pool: str) -> On:
    """What a pool's steps run on: its kind, or an accelerator where this host may have one."""
    accelerators = load_accelerators()
    settings = accelerators.pools.get(pool)
    if settings and settings.kind:
        return settings.kind
    declared = any(not entry.pretend and entry.kind != "cpu" for entry in accelerators.devices)
    return "gpu" if declared or NVIDIA.exists() else "cpu"


def sharding_of(settings: TrainingSettings) -> Literal["ddp", "fsdp"]:
    """How several devices share the model; each has all of it unless the settings say otherwise."""
    return "fsdp" if settings.sharding == "fsdp" else "ddp"


def _warn(message: str) -> None:
    import logging

    logging.getLogger("llm_assets.memory").warning(message)
