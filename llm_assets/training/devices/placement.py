"""Where a model is placed that is only used: by one process, over all devices of its lease."""

from __future__ import annotations

from typing import Any

import torch

ROOM = 0.92  # of what is free on a device, for weights: the rest is for what generating needs
MIB = 1 << 20


def loading_arguments() -> dict[str, Any]:
    """What `from_pretrained` needs to know of the lease's devices: `dtype`, `device_map`, `max_memory` in bytes.

    On a CPU nothing is placed. One GPU takes the whole model (its part of a shared one is held by
    `loading.use_lease`); over several it is spread layer by layer, within what is free on each.
    """
    found: dict[str, Any] = {"dtype": "auto"}
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 1:
        return found | {"device_map": {"": 0}}
    if count > 1:
        return found | {"device_map": "auto", "max_memory": {number: _room(number) for number in range(count)}}
    return found


def _room(device: int) -> int:
    free, _total = torch.cuda.mem_get_info(device)
    return int(free * ROOM) // MIB * MIB
