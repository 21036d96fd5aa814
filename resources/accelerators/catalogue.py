"""What is known of each model of device: memory, speed, power, price, and where each figure is from.

Figures are in catalogue.yml. MIG instances and vGPUs are models of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from resources.accelerators.catalogue_parts import mig_models, vgpu_models
from resources.accelerators.devices import Kind

FILE = Path(__file__).with_name("catalogue.yml")
STREET = "street prices of 2026 are good to 40 %"
CLOSE = 0.15  # a driver's total is within this of the catalogue's usable memory, or it is another model
_FIGURES = ("memory", "bandwidth", "bf16_flops", "watts", "link_bandwidth", "usd")


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """A model of device. A figure that is None is not known.

    Attributes:
        name: of the catalogue, as `models` in a request and `model` of a declared device name it.
        memory: usable bytes.
        bandwidth: bytes/s to its memory.
        bf16_flops: dense bf16 FLOP/s (fp16 where there is no bf16).
        watts: the most that it takes.
        link_bandwidth: bytes/s to devices of its link group, both directions together.
        usd: price of one, on the street.
        source: the document the figures are from.
        sources: figure to its own source, where that is another.
        uncertain: figure to what is doubtful about it.
        names: what drivers call it, and short names.
        parent: model that it is a part of; None: a whole device.
    """

    name: str
    kind: Kind
    memory: int
    bandwidth: float | None = None
    bf16_flops: float | None = None
    watts: float | None = None
    link_bandwidth: float | None = None
    usd: float | None = None
    source: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    uncertain: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    parent: str | None = None

    def source_of(self, figure: str) -> str | None:
        """Where a figure is from; None if the figure is not known."""
        return None if getattr(self, figure) is None else self.sources.get(figure, self.source)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The figures that nothing public says."""
        return tuple(name for name in _FIGURES if getattr(self, name) is None)


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, DeviceModel]:
    """All models by name: whole devices first, then the parts that they can be cut into."""
    import yaml

    # In C it takes 3 ms, else 80, and every new process that decides reads it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    tree: dict[str, dict[str, Any]] = yaml.load(FILE.read_text(encoding="utf-8"), loader)  # noqa: S506  (a safe one)
    models: dict[str, DeviceModel] = {name: _whole(name, entry) for name, entry in tree.items()}
    for name, entry in tree.items():
        parts = [*mig_models(models[name], entry.get("mig", {})), *vgpu_models(models[name], entry.get("vgpu"))]
        models |= {part.name: part for part in parts}
    return MappingProxyType(models)


def model_named(driver_name: str, memory: int) -> str:
    """The catalogue's name for what a driver calls a device; the driver's own name if the catalogue has none.

    Several models may share a driver's name: the one whose memory is nearest is meant.

    Args:
        driver_name: as NVML or the TPU environment gives it.
        memory: bytes, as the driver reports them.
    """
    near = [model for model in _by_name().get(_folded(driver_name), ()) if abs(memory / model.memory - 1) <= CLOSE]
    return min(near, key=lambda model: abs(model.memory - memory)).name if near else driver_name


def models_matching(names: Iterable[str]) -> frozenset[str]:
    """Catalogue names for what people write: `a100` is every A100. Names that it lacks stay as they are."""
    found: set[str] = set()
    for name in names:
        folded = _folded(name)
        whole = [m for m in catalogue().values() if m.parent is None]
        family = [m.name for m in whole if m.name == folded or m.name.startswith(f"{folded}-")]
        called = [m.name for m in _by_name().get(folded, ())]
        found.update([name] if name in catalogue() else family or called or [name])
    return frozenset(found)


def model_of(name: str) -> DeviceModel | None:
    """The one model that a name or short name stands for: `h100` is the SXM one; of several, the largest."""
    called = _by_name().get(_folded(name)) or [m for m in catalogue().values() if m.name in models_matching([name])]
    return max(called, key=_memory, default=None)


def nearest_names(name: str) -> list[str]:
    """Catalogue names that a mistyped one may have meant."""
    import difflib

    return difflib.get_close_matches(name, catalogue(), n=3, cutoff=0.5)


def _memory(model: DeviceModel) -> int:
    return model.memory


def _whole(name: str, entry: Mapping[str, Any]) -> DeviceModel:
    figure = {name: float(entry[name]) for name in _FIGURES if name in entry}
    uncertain = dict(entry.get("uncertain", {})) | ({"usd": STREET} if "usd" in entry else {})
    return DeviceModel(
        name=name,
        kind=entry.get("kind", "gpu"),
        memory=int(entry["memory"]),
        bandwidth=figure.get("bandwidth"),
        bf16_flops=figure.get("bf16_flops"),
        watts=figure.get("watts"),
        link_bandwidth=figure.get("link_bandwidth"),
        usd=figure.get("usd"),
        source=entry["source"],
        sources=entry.get("sources", {}),
        uncertain=uncertain,
        names=tuple(entry.get("names", ())),
    )


@lru_cache(maxsize=1)
def _by_name() -> Mapping[str, tuple[DeviceModel, ...]]:
    named: dict[str, tuple[DeviceModel, ...]] = {}
    for model in catalogue().values():
        for name in {_folded(alias) for alias in (model.name, *model.names)}:
            named[name] = (*named.get(name, ()), model)
    return named


def _folded(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip().lower()).removesuffix("+me")  # a MIG instance with the media engines
