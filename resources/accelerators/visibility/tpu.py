"""The variables of a TPU lease, and the command to run on its TPU VM. Not yet run on hardware.

A process of a part of a host's chips needs bounds and a port of its own, or libtpu says "TPU already in use".
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from resources.accelerators.devices import Device
from resources.accelerators.errors import AcceleratorError
from resources.accelerators.leases import Lease

BOUNDS = {1: "1,1,1", 2: "1,2,1", 4: "2,2,1", 8: "2,4,1"}
"""Chips that one process can have, as libtpu lays them out (Google Cloud TPU documentation, multiple processes)."""
FIRST_PORT = 8476  # libtpu's own default; each lease of a host takes the port of its lowest chip


def tpu_environment(devices: Sequence[Device]) -> dict[str, str]:
    """The variables for the chips of a lease. Several hosts keep the bounds of their TPU VMs.

    Raises:
        AcceleratorError: so many chips of one host that no process can have.
    """
    found = {"PJRT_DEVICE": "TPU", "JAX_PLATFORMS": "tpu,cpu", "CUDA_VISIBLE_DEVICES": ""}
    if len({device.host for device in devices}) > 1:
        return found
    chips = sorted(device.index for device in devices)
    if len(chips) not in BOUNDS:
        raise AcceleratorError(
            f"{len(chips)} TPU chips of {devices[0].host}: a process has 1, 2, 4 or 8 of a host's. Set devices so."
        )
    port = FIRST_PORT + chips[0]
    return found | {
        "TPU_VISIBLE_CHIPS": ",".join(map(str, chips)),
        "TPU_CHIPS_PER_PROCESS_BOUNDS": BOUNDS[len(chips)],
        "TPU_PROCESS_BOUNDS": "1,1,1",
        "TPU_PROCESS_ADDRESSES": f"localhost:{port}",
        "TPU_PROCESS_PORT": str(port),
        "CLOUD_TPU_TASK_ID": "0",
    }


def tpu_command(
    lease: Lease, devices: Mapping[str, Device], command: Sequence[str], *, image: str | None = None
) -> dict[str, str]:
    """Host to the shell line that runs a command under the lease on that host's TPU VM; with `image`, in a container.

    Raises:
        AcceleratorError: the lease has no TPU.
    """
    from resources.accelerators.visibility.environment import environment

    hosts = sorted({devices[share.device].host for share in lease.shares if devices[share.device].kind == "tpu"})
    if not hosts:
        raise AcceleratorError(f"lease {lease.id} holds no TPU: {', '.join(share.device for share in lease.shares)}")
    variables = [f"{name}={value}" for name, value in environment(lease, devices).items()]
    if image is None:
        line = shlex.join(["env", *variables, *command])
    else:
        # libtpu needs the device nodes and the host's network, as Google's own containers are started.
        flags = [word for variable in variables for word in ("--env", variable)]
        line = shlex.join(["docker", "run", "--rm", "--privileged", "--net=host", *flags, image, *command])
    return dict.fromkeys(hosts, line)
