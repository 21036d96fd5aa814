"""A lease as the flags of a container. Docker and Kubernetes have not been run with them on a GPU yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from resources.accelerators.devices import Device
from resources.accelerators.leases import Lease
from resources.accelerators.visibility.environment import environment


def docker_flags(
    lease: Lease, devices: Mapping[str, Device], *, cdi: bool = False, mps: Mapping[str, Path] | None = None
) -> list[str]:
    """Arguments of `docker run`, one a list entry: the lease's devices, cores, memory and environment.

    Args:
        lease: what it holds.
        devices: device id to device, at least those of the lease.
        cdi: name the GPUs by the Container Device Interface (Docker 25 and newer, Podman) rather than `--gpus`.
        mps: as for `environment`; the pipe directory is mounted and memory for communication is shared with the host.
    """
    held = [devices[share.device] for share in lease.shares if not devices[share.device].pretended]
    gpus = [device.id for device in held if device.kind == "gpu"]
    flags: list[str] = []
    if gpus and cdi:
        flags += [word for uuid in gpus for word in ("--device", f"nvidia.com/gpu={uuid}")]
    elif gpus:
        flags += [
            "--gpus",
            f'"device={",".join(gpus)}"',
        ]  # Docker reads it as CSV: the quotes hold the commas together
    if any(device.kind == "tpu" for device in held):
        flags += ["--privileged", "--net=host"]
    flags += ["--cpus", f"{lease.cpus:g}"] if lease.cpus > 0 else []
    flags += ["--memory", str(lease.host_memory)] if lease.host_memory > 0 else []
    for pipes in {path for device, path in (mps or {}).items() if device in gpus}:
        flags += ["--ipc=host", "--volume", f"{pipes}:{pipes}"]
    variables = environment(lease, devices, mps=mps)
    return flags + [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]


def kubernetes_limits(lease: Lease, devices: Mapping[str, Device]) -> dict[str, str]:
    """`resources.limits` of a container that asks a cluster for what the lease holds, by the vendors' device plugins.

    A shared GPU is `nvidia.com/gpu.shared`, as NVIDIA's plugin names it; its memory cannot be said there.
    """
    limits: dict[str, int] = {}
    for share in lease.shares:
        name = _resource(devices[share.device], lease.shared)
        if name is not None:
            limits[name] = limits.get(name, 0) + 1
    found = {name: str(count) for name, count in limits.items()}
    found |= {"cpu": f"{lease.cpus:g}"} if lease.cpus > 0 else {}
    return found | ({"memory": str(lease.host_memory)} if lease.host_memory > 0 else {})


def _resource(device: Device, shared: bool) -> str | None:
    if device.kind == "tpu":
        return "google.com/tpu"
    if device.kind == "cpu":
        return None
    _whole, mig, profile = device.model.partition("-mig-")
    return f"nvidia.com/mig-{profile}" if mig else "nvidia.com/gpu.shared" if shared else "nvidia.com/gpu"
