"""`accelerators usage`: device-hours, energy, cost and waits of a period."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from resources.accelerators.commands.text import as_json, columns, lasting, moment
from resources.accelerators.errors import AcceleratorError
from resources.accelerators.usage_by import BY, Prices, Total, usage_by

HELP = "Device-hours, energy, cost and waits of a period; live leases count up to now."
DEFAULT_SINCE = "30d"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--by", choices=BY, default="tenant", help="default: tenant")
    period_arguments(parser, DEFAULT_SINCE)
    parser.add_argument("--json", action="store_true")


def period_arguments(parser: argparse.ArgumentParser, since: str) -> None:
    """Add --since and --until."""
    form = "2030-01-31, 2030-01-31T18:00 (UTC without an offset), or 90m, 24h, 7d ago"
    parser.add_argument("--since", default=since, metavar="TIME", help=f"{form}; default: {since}")
    parser.add_argument("--until", default="0s", metavar="TIME", help="likewise; default: now")


def period(options: argparse.Namespace) -> tuple[float, float]:
    """The period, in seconds since the epoch; not beyond now.

    Raises:
        AcceleratorError: a time cannot be understood, or the end is not after the start.
    """
    now = time.time()
    bounds: list[float] = []
    for name in ("since", "until"):
        try:
            bounds.append(moment(getattr(options, name), now))
        except (ValueError, OverflowError):
            given = getattr(options, name)
            raise AcceleratorError(
                f"--{name} {given}: is no time; write 2030-01-31T18:00 or 24h, for example"
            ) from None
    since, until = bounds[0], min(bounds[1], now)
    if since >= until:
        raise AcceleratorError(f"--since {options.since} is not before --until {options.until}")
    return since, until


def run(options: argparse.Namespace) -> int:
    """Print it."""
    from resources.accelerators.catalogue import catalogue
    from resources.accelerators.ledger.ledger import open_ledger

    since, until = period(options)
    ledger = open_ledger()
    prices = Prices(ledger.view().devices, catalogue(), ledger.accelerators)
    totals = usage_by(ledger.history(since, until), options.by, since, until, prices)
    if options.json:
        print(as_json({"since": since, "until": until, "by": options.by, "totals": [asdict(one) for one in totals]}))
    else:
        print(f"{_date(since)} to {_date(until)} UTC")
        print("\n".join(lines(totals, options.by)))
    return 0


def lines(totals: Sequence[Total], by: str) -> list[str]:
    """Totals as text."""
    if not totals:
        return ["No lease in this time."]
    rows = [[by, "leases", "device-hours", "energy", "cost", "mean wait", "longest wait"]]
    rows += [_row(one) for one in totals]
    unknown = any(min(one.kwh_known, one.usd_known) < 1 for one in totals)
    note = ["~: without devices whose power or price neither the catalogue nor accelerators.yml knows"]
    return columns(rows) + (note if unknown else [])


def _row(one: Total) -> list[str]:
    live = f" ({one.live} live)" if one.live else ""
    return [
        one.name,
        f"{one.leases}{live}",
        f"{one.device_hours:,.2f}",
        f"{one.kwh:,.2f} kWh{'' if one.kwh_known >= 1 else '~'}" if one.kwh_known else "unknown",
        f"${one.usd:,.2f}{'' if one.usd_known >= 1 else '~'}" if one.usd_known else "unknown",
        lasting(one.mean_wait),
        lasting(one.longest_wait),
    ]


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
