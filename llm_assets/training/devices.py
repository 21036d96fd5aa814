"""The devices of this process: how many processes train together, which is this one, and what it computes on.

The lease decides: its environment says which devices there are, and `torchrun` says which of them is whose.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import torch

Kind = Literal["cpu", "cuda", "xla"]


@dataclass(frozen=True)
class Devices:
    """What this process trains on.

    Attributes:
        kind: of device.
        world: processes that train together.
        rank: which of them this is; 0 writes, reports and decides.
    """

    kind: Kind
    world: int
    rank: int

    @property
    def leads(self) -> bool:
        """Whether this process writes checkpoints and reports."""
        return self.rank == 0

    def training_arguments(self) -> dict[str, Any]:
        """What `transformers.TrainingArguments` needs to know of the devices."""
        return {"use_cpu": self.kind == "cpu"}


def here() -> Devices:
    """The devices of this process, from the environment that the lease and torchrun gave it."""
    kind: Kind = "cuda" if torch.cuda.is_available() else "cpu"
    return Devices(kind, int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0")))
