"""What this process computes on, and which others train with it.

The lease decides: its environment says which devices there are, and torchrun says which of them is whose.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist

Kind = Literal["cpu", "cuda", "xla"]
Sharding = Literal["ddp", "fsdp"]

SHARDING_VARIABLE = "LLM_ASSETS_SHARDING"  # set by the layout of the job: ddp or fsdp
XLA_VARIABLE = "PJRT_DEVICE"  # torch_xla's; a TPU lease sets it

T = TypeVar("T")


@dataclass(frozen=True)
class Devices:
    """What this process trains on.

    Attributes:
        kind: of device.
        world: processes that train together.
        rank: which of them this is; 0 writes, reports and decides.
        sharding: how they share the model: `ddp`, each has all of it; `fsdp`, each has a part of every weight.
    """

    kind: Kind
    world: int
    rank: int
    sharding: Sharding = "ddp"

    @property
    def leads(self) -> bool:
        """Whether this process writes checkpoints and reports."""
        return self.rank == 0

    @property
    def sharded(self) -> bool:
        """Whether the model's weights, gradients and optimiser are divided over the processes (FSDP2)."""
        return self.world > 1 and self.sharding == "fsdp"

    def training_arguments(self) -> dict[str, Any]:
        """What `transformers.TrainingArguments` needs to know of the devices."""
        found: dict[str, Any] = {"use_cpu": self.kind == "cpu"}
        if self.kind == "xla":
            found |= {"dataloader_pin_memory": False, "optim": "adamw_torch"}  # the default one is fused: not on XLA
        if self.world > 1:
            # Every weight that is trained gets a gradient in every step, and no model here has buffers that change.
            found |= {"ddp_find_unused_parameters": False, "ddp_broadcast_buffers": False}
            found["average_tokens_across_devices"] = True  # a token counts the same on whichever device it is
            if self.kind == "cpu":
                found["ddp_backend"] = "gloo"
        return found

    def split(self, batch: int, micro_batch: int | None) -> tuple[int, int]:
        """How a step's examples are divided: (examples at once on a device, micro-batches one after another).

        Args:
            batch: examples of a step, over all devices.
            micro_batch: the most examples at once on one device; None: as many as its part of the step has.

        Raises:
            ValueError: the devices cannot have equal parts.
        """
        part, left = divmod(batch, self.world)
        if left:
            raise ValueError(
                f"training.batch is {batch}, which {self.world} devices cannot share equally; "
                f"take {batch - left or self.world} or {batch - left + self.world}, or a pool of fewer devices"
            )
        most = min(micro_batch or part, part)
        micro = next(size for size in range(most, 0, -1) if part % size == 0)
        return micro, part // micro

    def described(self) -> dict[str, Any]:
        """What the figures of a training say of the devices."""
        found = {"kind": self.kind, "world": self.world, "sharding": self.sharding if self.world > 1 else None}
        if self.kind == "xla":
            from llm_assets.training.devices.xla import compilations

            found |= compilations()
        return found

    def decided(self, decide: Callable[[], T]) -> T:
        """The same decision in every process: the leading one takes it, the others hear of it."""
        if self.world == 1:
            return decide()
        box = [decide() if self.leads else None]
        dist.broadcast_object_list(box, device=torch.device("cpu"))
        return box[0]  # pyright: ignore[reportReturnType]  (what the leader decided)

    def wait(self) -> None:
        """Until every process has come here."""
        self.decided(lambda: None)


@cache
def here() -> Devices:
    """The devices of this process, from the environment that the lease and torchrun gave it; joins the others."""
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    sharding: Sharding = "fsdp" if os.environ.get(SHARDING_VARIABLE) == "fsdp" else "ddp"
    devices = Devices(_kind(), world, rank, sharding)
    if world > 1:
        _join(devices)
    return devices


def _kind() -> Kind:
    if os.environ.get(XLA_VARIABLE) and _has_torch_xla():
        return "xla"
    return "cuda" if torch.cuda.is_available() else "cpu"


def _has_torch_xla() -> bool:
    """torch_xla is in the TPU environment only."""
    from importlib.util import find_spec

    return find_spec("torch_xla") is not None


def _join(devices: Devices) -> None:
    """Form the group; what lies on a CPU goes over gloo in any case: flags, and the parts of a checkpoint."""
    if devices.kind == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if devices.kind == "cuda" else "gloo")
