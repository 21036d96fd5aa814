"""Estimates of memory against peaks that others published, and against real runs on this machine.

    python -m benchmarks.estimates [--full]

`published_peaks.yml` has each peak with its source, what the source leaves open, and what is assumed for it. No row
was used to fit a constant: the formulas are those of the papers and of the tensors that autograd keeps. Where a first
comparison was off, the source of the measured program was read, and four things that it does were added as settings
or terms: one tensor for queries, keys and values; 4-bit weights made from fp16; the states of torchao's 8-bit AdamW
in fp32; both gradients of a loss that is not compiled. So these peaks are no unseen test set. Rows that
measure something else are not counted, and are listed with their errors and the reason. `--full` also trains.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.common import report
from llm_assets.models.memory import MARGIN, Estimate, Workload, estimate, read_config

GOAL = 10.0
FILE = Path(__file__).with_name("published_peaks.yml")
NOT_SETTINGS = ("model", "peak", "limit", "why_not")


@dataclass(frozen=True)
class Published:
    """One row of the file.

    Attributes:
        name: model and what makes the row.
        estimated: what is computed for it.
        peak: bytes; None: it did not fit.
        limit: bytes that were not enough.
        why_not: why it is not counted.
    """

    name: str
    estimated: Estimate
    peak: float | None
    limit: float | None
    why_not: str | None

    @property
    def error(self) -> float:
        """Signed, in per cent of the peak."""
        assert self.peak is not None
        return 100 * (self.estimated.peak / self.peak - 1)


def main() -> None:
    """Compare, print each row, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="train on this machine as well")
    full = parser.parse_args().full
    rows = list(published(yaml.safe_load(FILE.read_text(encoding="utf-8"))))
    for row in rows:
        print(_line(row))
    details = summary(rows)
    if full:
        from benchmarks.estimates_of_runs import compare

        details["runs_here"] = compare()
    value = float(details["mean_error_percent"])
    report("estimates", value, "% mean error against published peaks", f"<= {GOAL:.0f}", value <= GOAL, details)


def published(tree: Mapping[str, Any]) -> Iterator[Published]:
    """Every row, with its estimate."""
    for group in tree["groups"]:
        for row in group["peaks"]:
            settings = {**group.get("common", {}), **row}
            shape = read_config(tree["models"][settings["model"]])
            changed = {name: value for name, value in row.items() if name not in NOT_SETTINGS}
            name = f"{settings['model']} {settings['method']} " + " ".join(f"{k}={v}" for k, v in changed.items())
            oom = row["peak"] == "OOM"
            yield Published(
                name.strip(),
                estimate(shape, workload_of(settings)),
                None if oom else row["peak"] * group["unit"],
                row["limit"] * group["unit"] if oom else None,
                row.get("why_not") or group.get("why_not"),
            )


def workload_of(settings: Mapping[str, Any]) -> Workload:
    """The settings of a row, without those that say what was measured."""
    named = {name: value for name, value in settings.items() if name not in NOT_SETTINGS}
    if "adapter_targets" in named:
        named["adapter_targets"] = tuple(named["adapter_targets"])
    return Workload(**named)


def summary(rows: list[Published]) -> dict[str, Any]:
    """Errors of the rows that count, and those of the others beside them."""
    counted = [row for row in rows if row.peak and not row.why_not]
    worst = max(counted, key=lambda row: abs(row.error))
    under = [row.name for row in counted if row.estimated.asked < (row.peak or 0)]
    refused = [(row.estimated.asked, row.limit) for row in rows if row.limit and not row.why_not]
    return {
        "mean_error_percent": round(sum(abs(row.error) for row in counted) / len(counted), 2),
        "worst_error_percent": round(worst.error, 1),
        "worst": worst.name,
        "peaks": len(counted),
        "margin_percent": round(100 * MARGIN),
        "underestimates_after_margin": len(under),
        "underestimated": under,
        "out_of_memory_foreseen": sum(asked > limit for asked, limit in refused),
        "out_of_memory": len(refused),
        "not_counted": [f"{row.name}: {row.error:+.0f} %: {row.why_not}" for row in rows if row.peak and row.why_not],
    }


def _line(row: Published) -> str:
    estimated = f"{row.estimated.peak / 1e9:7.2f} GB ({row.estimated.moment})"
    if row.peak is None:
        return f"{estimated}  out of memory at {(row.limit or 0) / 1e9:.0f} GB  {row.name}"
    mark = " not counted" if row.why_not else ""
    return f"{estimated}  measured {row.peak / 1e9:7.2f}  {row.error:+6.1f} %{mark}  {row.name}"


if __name__ == "__main__":
    main()
