"""How a job's processes are started: which interpreter, how many, and what tells them so. The lease decides."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from resources.profile import ROOT
from resources.threads import THREADS_VARIABLE, cpu_threads

if TYPE_CHECKING:
    from resources.accelerators.devices import Device
    from resources.accelerators.held import HeldLease

Kind = Literal["cpu", "gpu", "tpu"]
Sharding = Literal["ddp", "fsdp"]

TPU_PYTHON = ROOT / ".venv-tpu" / "bin" / "python"  # `make tpu-env`; torch_xla wants a torch of its own
SHARDING_VARIABLE = "LLM_ASSETS_SHARDING"  # read by llm_assets.training.devices
XLA_CACHE_VARIABLE = "XLA_PERSISTENT_CACHE_PATH"


class LaunchError(RuntimeError):
    """A job cannot be started on these devices; the message says why."""


@dataclass(frozen=True)
class Layout:
    """The processes of a job.

    Attributes:
        kind: of the devices; a TPU's process has an interpreter of its own.
        processes: that train together, one a device.
        sharding: how several share a model: `ddp`, each has all of it; `fsdp`, each has a part.
        env: variables added to theirs.
    """

    kind: Kind = "cpu"
    processes: int = 1
    sharding: Sharding = "ddp"
    env: Mapping[str, str] = field(default_factory=dict)

    def command(self, module: str, *arguments: str) -> list[str]:
        """The command that runs a module of `llm_assets.training` so.

        Raises:
            LaunchError: the TPU environment is not there.
        """
        python = [str(self._python()), "-W", "ignore::FutureWarning", "-m"]
        if self.processes == 1:
            return [*python, module, *arguments]
        return [*python, "llm_assets.training.torchrun", str(self.processes), module, *arguments]

    def variables(self, threads: int | None = None) -> dict[str, str]:
        """What to add to the environment.

        Args:
            threads: CPU threads of each process; by default the lease's, divided.
        """
        found = dict(self.env)
        if self.processes > 1:
            found[SHARDING_VARIABLE] = self.sharding
            threads = threads or max(1, cpu_threads() // self.processes)
            if self.kind == "cpu":
                found["CUDA_VISIBLE_DEVICES"] = ""
        return found | ({THREADS_VARIABLE: str(threads)} if threads else {})

    def _python(self) -> Path:
        if self.kind != "tpu":
            return Path(sys.executable)
        if not TPU_PYTHON.exists():
            raise LaunchError(f"a TPU needs torch_xla, and {TPU_PYTHON} is not there; run `make tpu-env` once")
        return TPU_PYTHON


def layout_of(held: HeldLease, sharding: Sharding = "ddp", compiled: Path | None = None) -> Layout:
    """The layout of a training on the devices of a lease: one process a device, on one host.

    Pretended devices have no hardware: several are as many processes on the CPU, a TPU is torch_xla on the CPU.

    Args:
        held: the lease.
        sharding: how several devices share the model.
        compiled: folder that keeps what was compiled for a TPU, for the next training.

    Raises:
        LaunchError: the devices are on several hosts, or are several TPU chips.
    """
    return layout_on(tuple(held.devices.values()), sharding, compiled)


def layout_on(devices: tuple[Device, ...], sharding: Sharding = "ddp", compiled: Path | None = None) -> Layout:
    """As `layout_of`, for devices."""
    hosts, kinds = {device.host for device in devices}, {device.kind for device in devices}
    pretended = all(device.pretended for device in devices)
    if len(hosts) > 1:
        raise LaunchError(
            f"a training runs on the devices of one host, and this lease has some of {', '.join(sorted(hosts))}; "
            "ask for fewer devices, or for devices linked by nvlink"
        )
    if kinds == {"tpu"}:
        if len(devices) > 1:
            raise LaunchError(f"a training takes one TPU chip, and this lease has {len(devices)}; set devices: 1")
        return Layout("tpu", env=_on_xla(pretended, compiled))
    if "cpu" in kinds and not pretended:
        return Layout()
    return Layout("cpu" if pretended else "gpu", max(1, len(devices)), sharding)


def _on_xla(pretended: bool, compiled: Path | None) -> dict[str, str]:
    """The lease names a real TPU. On a CPU torch_xla 2.9 writes what it compiled, and cannot read it again."""
    if pretended:
        return {"PJRT_DEVICE": "CPU"}
    return {XLA_CACHE_VARIABLE: str(compiled)} if compiled else {}
