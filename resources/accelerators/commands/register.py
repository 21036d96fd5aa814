"""`accelerators register`: tell the ledger which devices this host has; with --watch as an agent that goes on."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from resources.accelerators.errors import AcceleratorError
from resources.accelerators.units import shown_gb
from resources.config_errors import ConfigError

if TYPE_CHECKING:
    from resources.accelerators.ledger.ledger import Ledger
    from resources.accelerators.ledger.records import Reaped, Registration

HELP = "Register this host's devices, and those that accelerators.yml declares. Opening Dagster never probes."
LEAST_SECONDS = 1.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--watch",
        type=seconds,
        metavar="SECONDS",
        help="go on as this host's agent: every so many seconds look for lost devices and for memory that processes "
        "without a lease hold, and free what the dead held",
    )


def seconds(text: str) -> float:
    """A time between two looks; argparse says so if it is none."""
    value = float(text)
    if not LEAST_SECONDS <= value <= 86400:
        raise argparse.ArgumentTypeError(f"{text}: from {LEAST_SECONDS:g} to 86400 seconds")
    return value


def run(options: argparse.Namespace) -> int:
    """Register once, or until SIGTERM or Ctrl-C."""
    from resources.accelerators.inventory import register_this_host
    from resources.accelerators.ledger.ledger import open_ledger

    ledger = open_ledger()
    done = register_this_host(ledger, ledger.accelerators)
    for device in done.devices:
        print(f"{device.id}  {device.model}  {shown_gb(device.memory)}{_trouble(device.state, device.reason)}")
    print(f"{done.host}: {len(done.devices)} devices registered")
    _tell_trouble(done)
    if options.watch is not None:
        watch(ledger, options.watch, _until_signal())
    return 0


def watch(ledger: Ledger, every: float, ended: Callable[[float], bool]) -> None:
    """The agent's loop. accelerators.yml is read again when it has changed. What goes wrong, the ledger is gone for
    example, is said once and tried again.

    Args:
        ledger: where to register.
        every: seconds between two looks.
        ended: waits so many seconds; whether to end.
    """
    from resources.accelerators.configuration import load_accelerators
    from resources.accelerators.inventory import refresh

    trouble: str | None = None
    while not ended(every):
        try:
            _tell(refresh(ledger, load_accelerators()))
            _tell_reaped(ledger.reap())
            if trouble:
                print("it works again", flush=True)
            trouble = None
        except (AcceleratorError, ConfigError) as error:
            if str(error) != trouble:
                print(f"accelerators register: {error}", file=sys.stderr, flush=True)
            trouble = str(error)


def _tell(done: Registration) -> None:
    for device_id in done.added:
        print(f"new: {device_id}", flush=True)
    for device in done.devices:
        if device.id in done.changed:
            print(f"changed: {device.id}{_trouble(device.state, device.reason)}", flush=True)
    _tell_trouble(done)


def _tell_trouble(done: Registration) -> None:
    for device_id in done.lost:
        print(f"LOST: {device_id}", flush=True)
    for lease in done.leases:
        devices = ", ".join(share.device for share in lease.shares)
        print(f"LEASE IN TROUBLE: {lease.id} ({lease.asset or lease.step_key}) on {devices}", flush=True)


def _tell_reaped(reaped: Reaped) -> None:
    for lease_id in reaped.leases:
        print(f"freed: lease {lease_id}, its holders are dead", flush=True)
    if reaped.killed:
        print(f"ended: processes that outlived their lease: {', '.join(map(str, reaped.killed))}", flush=True)


def _trouble(state: str, reason: str | None) -> str:
    return "" if state == "ok" else f"  {state.upper()}: {reason or 'no reason given'}"


def _until_signal() -> Callable[[float], bool]:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    return ended.wait
