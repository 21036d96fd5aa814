"""`accelerators catalogue`: the models of devices that are known, with what is known of them."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from resources.accelerators.commands.text import as_json, columns

HELP = "Models of devices: usable memory, bandwidth, bf16 throughput, power, link bandwidth, street price."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--all", action="store_true", help="with MIG instances and vGPUs, which are parts of others")
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    from resources.accelerators.catalogue import catalogue

    models = [model for model in catalogue().values() if options.all or model.parent is None]
    if options.json:
        plain = [
            asdict(model) | {"sources": dict(model.sources), "uncertain": dict(model.uncertain)} for model in models
        ]
        print(as_json(plain))
        return 0
    rows = [["model", "GB", "GB/s", "TFLOPS bf16", "W", "link GB/s", "US$"]]
    for model in models:
        scaled = ((model.bandwidth, 1e9), (model.bf16_flops, 1e12), (model.watts, 1), (model.link_bandwidth, 1e9))
        figures = [_shown(value, unit) for value, unit in scaled]
        rows.append([model.name, f"{model.memory / 1e9:.1f}", *figures, _shown(model.usd, 1)])
    print("\n".join(columns(rows, indent="")))
    return 0


def _shown(value: float | None, unit: float) -> str:
    return "-" if value is None else f"{value / unit:,.0f}"
