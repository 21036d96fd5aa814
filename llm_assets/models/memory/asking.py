"""What a fine-tune asks its pool for: the number in YAML, or its estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_assets.models.memory.estimate import estimate
from llm_assets.models.memory.peaks import Corrected, Fact, corrected, facts_of, noted_if_readable
from llm_assets.models.memory.planned import On, planned
from llm_assets.models.memory.reading import Known, NotHere, known_model
from llm_assets.models.memory.workload import Sharding, Workload
from resources.accelerators.configuration import load_accelerators
from resources.accelerators.units import GB
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
        noted: earlier runs of the same family.
    """

    known: Known
    workload: Workload
    corrected: Corrected
    devices: int
    noted: tuple[Fact, ...] = ()

    @property
    def total(self) -> int:
        """Bytes to ask for, over all devices."""
        return self.devices * self.corrected.asked


def plan_of(known: Known, workload: Workload, noted: tuple[Fact, ...] = ()) -> Plan:
    """The plan of a workload."""
    found = estimate(known.shape, workload)
    return Plan(known, workload, corrected(found, facts_of(known, workload), noted), workload.devices, noted)


def plan(
    spec: FineTuneSpec, profile: Profile | None = None, *, on: On | None = None, devices: int | None = None
) -> Plan:
    """The plan of a fine-tune, on the kind and number of devices that its pool asks for.

    Args:
        spec: the fine-tune.
        profile: where earlier runs are noted; default: the chosen target.
        on: the kind of device; by default what the pool has.
        devices: how many; by default the pool's, or one.

    Raises:
        NotHere: the base model's configuration is not on this machine.
    """
    profile, settings = profile or load_profile(), spec.settings.training
    known = known_model(spec.settings.model, spec.folder, profile.state_dir / "cache")
    pool = load_accelerators().pools.get(settings.pool)
    number = devices or (pool.devices if pool else None) or 1
    workload = planned(settings, on or kind_of(settings.pool), devices=number, sharding=sharding_of(settings))
    return plan_of(known, workload, tuple(noted_if_readable(profile, facts_of(known, workload))))


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


def _asked(now: Plan, settings: TrainingSettings, devices: int) -> int:
    sharding: Sharding = "fsdp" if devices > now.devices or now.workload.sharding == "fsdp" else "ddp"
    on = now.workload.on or "cpu"
    return plan_of(now.known, planned(settings, on, devices=devices, sharding=sharding)).corrected.asked


def request_tags(spec: FineTuneSpec) -> dict[str, str]:
    """Tags of the op that trains: how much memory its pool is asked for. None where the pool says it itself.

    While definitions load this must not fail: a model that is not here yet leaves it to the pool, with a warning.
    """
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


def sharding_of(settings: TrainingSettings) -> Sharding:
    """How several devices share the model."""
    return "fsdp" if getattr(settings, "sharding", "auto") == "fsdp" else "ddp"


def _warn(message: str) -> None:
    import logging

    logging.getLogger("llm_assets.memory").warning(message)
