"""`accelerators run-flags LEASE`: a lease as flags of a container, limits of a cluster, or a command on a TPU VM."""

from __future__ import annotations

import argparse
import shlex

from resources.accelerators.commands.leases import one_lease
from resources.accelerators.commands.text import as_json

HELP = "How a lease prints itself: for docker run, CDI, Kubernetes, or a TPU VM."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("lease", help="its id, or the beginning of it")
    forms = parser.add_mutually_exclusive_group(required=True)
    forms.add_argument("--docker", action="store_true", help="flags of docker run, with --gpus")
    forms.add_argument("--cdi", action="store_true", help="the same with CDI names: Docker 25 and newer, Podman")
    forms.add_argument("--kubernetes", action="store_true", help="resources.limits of a container")
    forms.add_argument("--tpu", action="store_true", help="the command line for each TPU VM")
    parser.add_argument("--image", help="with --tpu: run in a container of this image")
    parser.add_argument("command", nargs="*", help="with --tpu: what to run there; after --")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    from resources.accelerators.ledger.ledger import open_ledger
    from resources.accelerators.visibility import docker_flags, kubernetes_limits, tpu_command

    state = open_ledger().view()
    lease = one_lease(state, options.lease)
    if options.kubernetes:
        print(as_json({"limits": kubernetes_limits(lease, state.devices)}))
    elif options.tpu:
        command = options.command or ["python", "train.py"]
        for host, line in tpu_command(lease, state.devices, command, image=options.image).items():
            print(f"# on {host}\n{line}")
    else:
        print(shlex.join(docker_flags(lease, state.devices, cdi=options.cdi)))
    return 0
