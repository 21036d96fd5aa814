"""`accelerators release LEASE`: the operator's last resort. Slots of dead holders come back without it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from resources.accelerators.commands.leases import one_lease

if TYPE_CHECKING:
    from resources.accelerators.leases import Lease
    from resources.accelerators.requests import Process

HELP = (
    "Last resort: give a lease back. It is free only when no process that works under it lives. Exit code 3: some do."
)
LIVES = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("lease", help="its id, or the beginning of it")


def run(options: argparse.Namespace) -> int:
    """Give it back, and say what still keeps its devices."""
    from resources.accelerators.ledger.ledger import open_ledger

    ledger = open_ledger()
    lease = one_lease(ledger.view(), options.lease)
    devices = ", ".join(share.device for share in lease.shares)
    ledger.release(lease.run_id, lease.step_key)
    left = ledger.lease(lease.id)
    if left is None:
        print(f"{devices}: free; lease {lease.id} of {lease.asset or lease.step_key} has ended")
        return 0
    print(f"lease {lease.id} is ending; {devices} will be free when these processes are gone:")
    for process in _living(left):
        print(f"  pid {process.pid} on {process.host}")
    print("They end with their run: terminate it in Dagster's UI, or end them by kill.")
    return LIVES


def _living(lease: Lease) -> list[Process]:
    """Its holders that live or that nobody here can know of, and processes of this host that carry its id."""
    from resources.accelerators.ledger.liveness import alive
    from resources.accelerators.ledger.strays import marked

    holders = [process for process in lease.holders if alive(process) is not False]
    return list(dict.fromkeys([*holders, *marked().get(lease.id, ())]))
