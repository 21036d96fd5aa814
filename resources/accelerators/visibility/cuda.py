"""CUDA's variables: which GPUs a process sees, and how much of a shared one it may take. Not yet run on hardware.

UUIDs rather than numbers: NVIDIA recommends them under MPS, where the daemon renumbers the devices that it was given
(Multi-Process Service, appendix Environment Variables), and a MIG instance has no number.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from resources.accelerators.devices import Device
from resources.accelerators.leases import Share

FRACTION_VARIABLE = "LLM_ASSETS_MEMORY_FRACTION"
MIB = 1 << 20


def cuda_environment(held: Sequence[tuple[Share, Device]], shared: bool, mps: Mapping[str, Path]) -> dict[str, str]:
    """The variables for GPUs and MIG instances, in the order of the bus; the limits where they are shared."""
    ordered = sorted(held, key=lambda entry: (entry[1].index, entry[1].id))
    found = {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": ",".join(device.id for _share, device in ordered),
        "PJRT_DEVICE": "CUDA",
    }
    if shared:
        share, device = ordered[0]  # a shared lease has one device
        found |= _limits(share, device)
        if device.id in mps:
            found |= _mps(share, mps[device.id])
    return found


def limit_torch(environ: Mapping[str, str] | None = None) -> None:
    """Hold torch to the memory of its shared lease. For the start of a training or serving process on CUDA."""
    fraction = (os.environ if environ is None else environ).get(FRACTION_VARIABLE)
    if fraction is not None:
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_per_process_memory_fraction(float(fraction))


def _limits(share: Share, device: Device) -> dict[str, str]:
    """Rounded down: a framework that reserves a rounded-up part would go over what was granted."""
    fraction = f"{math.floor(min(1.0, share.memory / device.memory) * 10_000) / 10_000:.4f}"
    return {FRACTION_VARIABLE: fraction, "XLA_PYTHON_CLIENT_MEM_FRACTION": fraction}


def _mps(share: Share, pipes: Path) -> dict[str, str]:
    """A client sees one device: that is number 0 in the memory limit, which has no notation for UUIDs."""
    return {
        "CUDA_MPS_PIPE_DIRECTORY": str(pipes),
        "CUDA_MPS_LOG_DIRECTORY": str(pipes),
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(max(1, math.floor(round(share.compute * 100, 6)))),
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": f"0={max(1, share.memory // MIB)}M",
    }
