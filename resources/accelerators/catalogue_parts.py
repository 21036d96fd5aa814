"""The parts that a device can be cut into: MIG instances and vGPUs, with figures derived from the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

from resources.accelerators.units import gb_to_bytes

if TYPE_CHECKING:
    from resources.accelerators.catalogue import DeviceModel

MIG = "NVIDIA Multi-Instance GPU user guide, supported profiles"
VGPU = "NVIDIA Virtual GPU Software user guide, virtual GPU types"
COMPUTE_SLICES, MEMORY_SLICES = 7, 8  # of every GPU that can be cut by MIG (the guide, "Partitioning")
DERIVED = "derived from the whole device's by the part that it is"


class Vgpu(TypedDict):
    """The compute profiles of a board: what the guest's driver calls it, and how many GB each has."""

    board: str
    gb: Sequence[int]


def mig_models(whole: DeviceModel, profiles: Mapping[str, float]) -> Iterator[DeviceModel]:
    """One model a MIG profile, such as `h100-sxm-80-mig-1g.10gb`: compute in sevenths, memory in eighths.

    An instance has no link to others (the guide: no P2P). Power and price are those of the larger part.
    """
    for profile, gb in profiles.items():
        slices = int(profile[0])
        eighths = round(MEMORY_SLICES * _gb(profile) / max(_gb(p) for p in profiles))
        compute, memory = slices / COMPUTE_SLICES, eighths / MEMORY_SLICES
        names = tuple(f"{name} MIG {profile}" for name in whole.names)
        yield _part(whole, f"{whole.name}-mig-{profile}", gb, compute, memory, max(compute, memory), names, MIG)


def vgpu_models(whole: DeviceModel, vgpu: Vgpu | None) -> Iterator[DeviceModel]:
    """One model a compute (C) profile, such as `l40s-vgpu-24c`: memory of its own, and turns on the GPU."""
    if vgpu is None:
        return
    for gb in vgpu["gb"]:
        names = tuple(f"{maker} {vgpu['board']}-{gb}C" for maker in ("NVIDIA", "GRID"))
        part = gb / max(vgpu["gb"])
        yield _part(whole, f"{whole.name}-vgpu-{gb}c", gb, part, part, part, names, VGPU)


def _part(
    whole: DeviceModel,
    name: str,
    gb: float,
    compute: float,
    memory: float,
    cost: float,
    names: tuple[str, ...],
    source: str,
) -> DeviceModel:
    derived = {figure: DERIVED for figure in ("bandwidth", "bf16_flops", "watts", "usd") if getattr(whole, figure)}
    return replace(
        whole,
        name=name,
        memory=gb_to_bytes(gb),
        bandwidth=_times(whole.bandwidth, memory),
        bf16_flops=_times(whole.bf16_flops, compute),
        watts=_times(whole.watts, cost),
        usd=_times(whole.usd, cost),
        link_bandwidth=None,
        sources={"memory": source, **{k: v for k, v in whole.sources.items() if k != "memory"}},
        uncertain={**whole.uncertain, **derived, "memory": "rounded; the driver says it exactly"},
        names=names,
        parent=whole.name,
    )


def _times(figure: float | None, part: float) -> float | None:
    return None if figure is None else figure * part


def _gb(profile: str) -> int:
    match = re.fullmatch(r"\dg\.(\d+)gb", profile)
    if match is None:
        raise ValueError(f"catalogue.yml: '{profile}' is no MIG profile, such as 1g.10gb")
    return int(match[1])
