"""How the processes of a lease see their devices, and no others: environment variables, set before a framework loads.

environment(lease, devices)       for a process on this host
docker_flags, kubernetes_limits   for a container
tpu_command                       for a TPU VM
"""

from resources.accelerators.visibility.containers import docker_flags, kubernetes_limits
from resources.accelerators.visibility.environment import environment
from resources.accelerators.visibility.mps import mps_for, stop_unused
from resources.accelerators.visibility.tpu import tpu_command

__all__ = [
    "docker_flags",
    "environment",
    "kubernetes_limits",
    "mps_for",
    "stop_unused",
    "tpu_command",
]
