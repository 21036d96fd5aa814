"""`accelerators drain` and `undrain`: grant nothing more on a device, and grant on it again."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from resources.accelerators.errors import AcceleratorError

HELP = "Grant nothing more on a device; what is leased on it goes on."
HELP_UNDRAIN = "Grant on a drained device again."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `drain` takes."""
    parser.add_argument("device", help="its id, as `accelerators status` shows it")
    parser.add_argument("--reason", default="drained by an operator", help="shown by status and explain")


def undrain_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `undrain` takes."""
    parser.add_argument("device", help="its id, as `accelerators status` shows it")


def run(options: argparse.Namespace) -> int:
    """Drain; says which leases are still on it."""
    from resources.accelerators.ledger.ledger import open_ledger

    ledger = open_ledger()
    _known(lambda: ledger.drain(options.device, options.reason))
    on_it = [
        lease
        for lease in ledger.view().leases.values()
        if any(share.device == options.device for share in lease.shares)
    ]
    print(f"{options.device} is drained: {options.reason}")
    for lease in on_it:
        print(f"  still on it: {lease.asset or lease.step_key} (lease {lease.id}, run {lease.run_id})")
    return 0


def undrain(options: argparse.Namespace) -> int:
    """Grant on it again."""
    from resources.accelerators.ledger.ledger import open_ledger

    _known(lambda: open_ledger().undrain(options.device))
    print(f"{options.device} is granted again")
    return 0


def _known(change: Callable[[], None]) -> None:
    try:
        change()
    except LookupError as error:
        raise AcceleratorError(error.args[0]) from None
