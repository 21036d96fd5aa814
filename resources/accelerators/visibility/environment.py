"""The environment of a process that works under a lease."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from resources.accelerators.devices import Device
from resources.accelerators.errors import AcceleratorError
from resources.accelerators.leases import LEASE_VARIABLE, Lease, Share
from resources.accelerators.visibility.cuda import cuda_environment
from resources.accelerators.visibility.tpu import tpu_environment
from resources.threads import THREADS_VARIABLE

DEVICES_VARIABLE = "LLM_ASSETS_DEVICES"
THREAD_VARIABLES = (THREADS_VARIABLE, "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # torch heeds the first
NO_ACCELERATOR = {"CUDA_VISIBLE_DEVICES": "", "PJRT_DEVICE": "CPU", "JAX_PLATFORMS": "cpu"}


def environment(
    lease: Lease, devices: Mapping[str, Device], *, mps: Mapping[str, Path] | None = None
) -> dict[str, str]:
    """What to add to the environment of every process of a lease before it imports a framework.

    Args:
        lease: what it holds.
        devices: device id to device, at least those of the lease.
        mps: device id to the pipe directory of its MPS daemon, from `mps_for`; without one, a shared GPU is shared
            without limits of the driver's, and only the memory fraction holds a framework back.

    Raises:
        AcceleratorError: a device of the lease is not in `devices`, or it holds a number of TPU chips of one host
            that no process can have.
    """
    held = [(share, _device(lease, share, devices)) for share in lease.shares]
    base = {LEASE_VARIABLE: lease.id, DEVICES_VARIABLE: ",".join(device.id for _share, device in held)}
    real = [(share, device) for share, device in held if not device.pretended]
    kinds = {device.kind for _share, device in real}
    if "gpu" in kinds:
        base |= cuda_environment([entry for entry in real if entry[1].kind == "gpu"], lease.shared, mps or {})
    elif "tpu" in kinds:
        base |= tpu_environment([device for _share, device in real])
    elif "cpu" in kinds:
        base |= NO_ACCELERATOR
        base |= threads(lease.cpus)
    return base


def threads(cpus: float) -> dict[str, str]:
    """So many threads that a library starts no more than there are cores; nothing where no cores were counted."""
    return dict.fromkeys(THREAD_VARIABLES, str(max(1, int(cpus)))) if cpus > 0 else {}


def _device(lease: Lease, share: Share, devices: Mapping[str, Device]) -> Device:
    try:
        return devices[share.device]
    except KeyError:
        raise AcceleratorError(
            f"lease {lease.id} ({lease.asset or lease.step_key}): device {share.device} is not registered any more."
            " Register its host again, or launch the step anew."
        ) from None
