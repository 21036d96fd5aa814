"""Stopping: every process must leave at the same step, or those that go on wait for ever for the others."""

from __future__ import annotations

import signal

import torch
import torch.distributed as dist

from llm_assets.training.devices.here import Devices

PATIENCE_SECONDS = 6  # for the step that is under way; who asked kills after 8


class Stop:
    """Whether to stop, agreed by all processes of a training. SIGTERM to any one of them asks for it.

    Where the step under way takes too long for that, the process ends in it: the last checkpoint is what there is.

    Args:
        devices: of this process.
    """

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGALRM, self._give_up)

    def agreed(self) -> bool:
        """Whether any process was asked to stop. Every process calls it once a step."""
        if self._devices.world > 1:
            asked = torch.tensor(int(self._asked))
            dist.all_reduce(asked, dist.ReduceOp.MAX)
            self._asked = bool(asked.item())
        if self._asked:
            signal.setitimer(signal.ITIMER_REAL, 0)  # the step is done: what is left is a checkpoint
        return self._asked

    def _ask(self, *_: object) -> None:
        self._asked = True
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)

    def _give_up(self, *_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)
