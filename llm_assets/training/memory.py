"""What this process takes of the memory that limits it: the device's where it has one, else the machine's."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_bytes() -> int | None:
    """The most that this process has held at once, in bytes; None where the system does not say.

    On CUDA what torch reserved, over all devices of this process: that is what another process could not have.
    """
    return _cuda("max_memory_reserved") or _resident("VmHWM")


def held_bytes() -> int | None:
    """What this process holds now, in bytes."""
    return _cuda("memory_reserved") or _resident("VmRSS")


def _cuda(figure: str) -> int:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return sum(getattr(torch.cuda, figure)(device) for device in range(torch.cuda.device_count()))


def _resident(field: str) -> int | None:
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)
