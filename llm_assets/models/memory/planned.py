"""What a fine-tune will do, as a workload: the settings in YAML, and how the trainer carries them out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llm_assets.models.memory.workload import Sharding, Workload

if TYPE_CHECKING:
    from llm_assets.models.settings import TrainingSettings

On = Literal["gpu", "cpu", "tpu"]
BF16_FLAGS = ("avx512_bf16", "amx_bf16")
CPUINFO = Path("/proc/cpuinfo")
DOUBLY_QUANTISED = 0.127 / 8  # bytes beside 4 bits (arXiv 2305.14314, section 3)


def planned(
    settings: TrainingSettings, on: On, *, devices: int = 1, sharding: Sharding = "ddp", bf16: bool | None = None
) -> Workload:
    """The workload of a training on each of its devices, as `llm_assets.training.methods` carries it out.

    Every row is taken to be `max_tokens` long, and learned whole: less is used where examples are shorter.
    Activations are taken to be kept where `gradient_checkpointing` is `auto`: with less memory the trainer decides
    otherwise.

    Args:
        settings: of the fine-tune.
        on: the kind of device.
        devices: how many train together.
        sharding: how they share the model.
        bf16: whether they compute in it; None: accelerators do, and this CPU if it says so.
    """
    narrow = bf16 if bf16 is not None else on != "cpu" or cpu_has_bf16()
    lora = settings.lora
    workload = Workload(
        method=settings.method,
        batch=rows_at_once(settings, devices),
        tokens=settings.max_tokens,
        weight_width=4,
        matrix_width=2 if narrow and settings.method == "lora" and not (sharding == "fsdp" and devices > 1) else None,
        compute_width=2 if narrow else 4,
        adapter_width=4,
        adapter_rank=lora.rank,
        adapter_layers=lora.layers,
        adapter_dropout=lora.dropout,
        accumulated=rows_at_once(settings, devices) * devices < settings.batch,
        devices=devices,
        sharding=sharding if devices > 1 else "none",
        checkpointing=settings.gradient_checkpointing is True,
        on=on,
    )
    return replace(workload, scale_bytes=DOUBLY_QUANTISED) if settings.method == "qlora" else workload


def rows_at_once(settings: TrainingSettings, devices: int = 1) -> int:
    """Rows of a micro-batch on each device: as `training.devices.Devices.split` divides them."""
    part = max(1, settings.batch // devices)
    most = min(settings.micro_batch or part, part)
    return next(size for size in range(most, 0, -1) if part % size == 0)


def cpu_has_bf16() -> bool:
    """Whether this CPU computes in bfloat16 rather than emulating it."""
    try:
        return any(flag in CPUINFO.read_text(encoding="ascii", errors="replace") for flag in BF16_FLAGS)
    except OSError:
        return False
