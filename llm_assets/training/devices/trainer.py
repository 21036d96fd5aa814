"""transformers' Trainer on one or several devices, with checkpoints that do not depend on how many there were.

Not accelerate's FSDP: it shards on GPUs only, so it could not be tested with gloo on CPUs, and its checkpoints of the
optimiser are not those of one device. A checkpoint here is what one process would write: the weights in safetensors,
and the optimiser by the names of the weights, each in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import fully_shard
from transformers import Trainer

from llm_assets.training.devices import xla
from llm_assets.training.devices.here import Devices

OPTIMIZER, SCHEDULER = "optimizer.pt", "scheduler.pt"
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)


def shard(model: torch.nn.Module) -> None:
    """Divide a model over all processes (FSDP2): each block is gathered while it computes, and no longer.

    Weights and gradients keep their type, so the sums are those of one device. An adapter is divided with its block.
    """
    base = getattr(model, "get_base_model", lambda: model)()
    names = set(getattr(base, "_no_split_modules", None) or ())
    for block in [module for module in model.modules() if type(module).__name__ in names]:
        fully_shard(block)
    fully_shard(model)


class DevicesTrainer(Trainer):
    """A Trainer for the devices of this process.

    Args:
        devices: of this process; the training arguments contain theirs.
        arguments: as the Trainer's.
    """

    model: Any  # a PreTrainedModel or PeftModel, sharded or not; there is always one here
    lr_scheduler: Any

    def __init__(self, *arguments: Any, devices: Devices, **named: Any) -> None:
        self._devices = devices
        super().__init__(*arguments, **named)
        if devices.kind == "xla":
            self.data_collator = xla.in_buckets(self.data_collator)

    def _move_model_to_device(self, model: Any, device: torch.device) -> None:
        """Not as a whole, where no device could hold it: sharding moves each block's part."""
        if not self._devices.sharded:
            super()._move_model_to_device(model, device)

    def _prepare_for_training(self, *arguments: Any, **named: Any) -> Any:
        """Shard as late as possible: until here a model is whole, and is loaded from a checkpoint like any other."""
        if self._devices.sharded and not self.is_distributed_loading_by_transformers:
            shard(self.model)
            self.is_distributed_loading_by_transformers = True  # it is not to be wrapped
        return super()._prepare_for_training(*arguments, **named)

    @contextmanager
    def _defer_fsdp_gradient_reduction(self) -> Iterator[None]:
        """Sum over micro-batches first, and over devices in the last one."""
        self.model.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            self.model.set_requires_gradient_sync(True)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the trained weights, gathered from all devices."""
        if not self._devices.sharded:
            super().save_model(output_dir, _internal_call)
            return
        weights = get_model_state_dict(self.model, options=WHOLE)
        if self._devices.leads:
            self._save(output_dir, state_dict=weights)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        state = get_optimizer_state_dict(self.model, self._plain_optimizer(), options=WHOLE)
        if self._devices.leads:
            torch.save(state, Path(output_dir) / OPTIMIZER)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        state, schedule = (
            torch.load(Path(checkpoint) / name, map_location="cpu", weights_only=True)
            for name in (OPTIMIZER, SCHEDULER)
        )
        set_optimizer_state_dict(self.model, self._plain_optimizer(), state, options=WHOLE)
        self.lr_scheduler.load_state_dict(schedule)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with suppress(KeyError):  # it was written on another kind of device: then chance begins anew
            super()._load_rng_state(checkpoint)

    def _plain_optimizer(self) -> torch.optim.Optimizer:
        """The one that accelerate has wrapped."""
        wrapped: Any = self.optimizer
        return getattr(wrapped, "optimizer", wrapped)
