"""TPU chips of this host: from /dev, /sys and the environment of a TPU VM. Not yet run on hardware."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

from resources.accelerators.catalogue import model_of
from resources.accelerators.devices import Device

log = logging.getLogger(__name__)
GOOGLE = "0x1ae0"  # PCI vendor; /dev/vfio also holds network cards, /dev/accel* other makers' accelerators
GENERATIONS = {"0x005e": "tpu-v4", "0x0063": "tpu-v5e", "0x0062": "tpu-v5p", "0x006f": "tpu-v6e"}
"""PCI device ids, as torch_xla and JAX know them."""
TYPE_VARIABLES = ("TPU_ACCELERATOR_TYPE", "ACCELERATOR_TYPE")  # such as v5litepod-8, on a TPU VM and in GKE
HOST_SIZES = (1, 2, 4, 8)


def tpu_devices(
    host: str,
    environ: Mapping[str, str] | None = None,
    dev: Path = Path("/dev"),
    sys: Path = Path("/sys"),
) -> list[Device]:
    """The chips, each a device; the chips of a host are one link group, those of a named slice share its name."""
    environ = os.environ if environ is None else environ
    nodes = _nodes(dev, sys, environ)
    if not nodes:
        return []
    model = model_of(_generation(nodes, environ) or "")
    if model is None or model.kind != "tpu":
        log.warning("%s: %d TPU chips are left out: unknown generation. Set TPU_ACCELERATOR_TYPE.", host, len(nodes))
        return []
    count = _chips(len(nodes), model.name)
    if count not in HOST_SIZES:
        log.warning("%s: %d TPU chips; hosts are known to have 1, 2, 4 or 8", host, count)
    return [
        Device(
            f"{host}/tpu{index}", host, "tpu", model.name, model.memory, index, _slice(host, environ), shareable=False
        )
        for index in range(count)
    ]


def _nodes(dev: Path, sys: Path, environ: Mapping[str, str]) -> list[tuple[Path, str | None]]:
    """Device nodes of TPUs with their PCI device id, if /sys tells it. v4 and older have accel nodes, newer vfio."""
    nodes = [(node, sys / "class" / "accel" / node.name / "device") for node in sorted(dev.glob("accel[0-9]*"))]
    for node in sorted(dev.glob("vfio/[0-9]*")):
        group = sys / "kernel" / "iommu_groups" / node.name / "devices"
        nodes += [(node, next(iter(sorted(group.glob("*"))), group))]
    # Where /sys is hidden, as in some containers, the environment's word is taken.
    makers = {GOOGLE, None} if _said(environ) else {GOOGLE}
    return [(node, _id(pci, "device")) for node, pci in nodes if _id(pci, "vendor") in makers]


def _id(pci: Path, name: str) -> str | None:
    try:
        return (pci / name).read_text(encoding="ascii").strip().lower()
    except OSError:
        return None


def _said(environ: Mapping[str, str]) -> str | None:
    return next((environ[name] for name in TYPE_VARIABLES if environ.get(name)), None)


def _generation(nodes: list[tuple[Path, str | None]], environ: Mapping[str, str]) -> str | None:
    said = _said(environ)
    return re.sub(r"-\d+$", "", said) if said else GENERATIONS.get(nodes[0][1] or "")


def _chips(nodes: int, model: str) -> int:
    """A chip of v7 shows two devices to the system; its hosts have four chips."""
    return nodes // 2 if model == "tpu-v7" and nodes > 4 else nodes


def _slice(host: str, environ: Mapping[str, str]) -> str:
    several = len(environ.get("TPU_WORKER_HOSTNAMES", "").split(",")) > 1
    return f"ici-{environ['TPU_NAME']}" if several and environ.get("TPU_NAME") else f"{host}/ici"
