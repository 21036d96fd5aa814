"""`accelerators gantt --out FILE`: who held which device when, as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from resources.accelerators.commands.usage import period, period_arguments

HELP = "A picture of who held which device when, and of who waited."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="a PNG file")
    parser.add_argument(
        "--by", choices=("pool", "tenant"), default="pool", help="what colours stand for; default: pool"
    )
    period_arguments(parser, "24h")


def run(options: argparse.Namespace) -> int:
    """Write it."""
    from resources.accelerators.gantt import gantt
    from resources.accelerators.ledger.ledger import open_ledger
    from resources.accelerators.timeline import bars

    since, until = period(options)
    ledger = open_ledger()
    state = ledger.view()
    found = bars(ledger.history(since, until), state.waiting.values(), state.devices, until)
    picture = gantt(list(state.devices.values()), found, since, until, options.by)
    options.out.write_bytes(picture.png)
    print(f"{options.out}: {len(state.devices)} devices")
    for label, name in picture.stand_ins.items():
        print(f"  {label} stands for {name}: no font here has its letters")
    return 0
