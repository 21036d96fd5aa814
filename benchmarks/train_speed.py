"""Real tokens a second of a training, against a plain script with the same library, model, batch and steps.

    python -m benchmarks.train_speed [--full]

First on rows of one length without packing, where both do the same work: what checkpoints and figures cost. Then
on the sample's examples, ours packed against the plain script, which pads to the longest of a batch. Start-up is left
out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, report
from benchmarks.tuning import fine_tune_of, row
from llm_assets.models.fine_tune import train

STEPS, BATCH, TOKENS = 16, 8, 64
SAMPLE = ROOT / "dbt_like_configs" / "sample" / "document_kind" / "examples.jsonl"
GOAL, PACKED_GOAL = 0.95, 1.8


def main() -> None:
    """Alternate, and take the median of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="9 pairs instead of 5")
    pairs = 9 if parser.parse_args().full else 5
    lines = map(json.loads, SAMPLE.read_text(encoding="utf-8").splitlines()[: STEPS * BATCH])
    even, sample = _even(), [row(line["prompt"], line["completion"], "train") for line in lines]
    same = [_pair(even, turn, packing=False, max_tokens=TOKENS) for turn in range(pairs)]
    packed = [_pair(sample, turn, packing="auto", max_tokens=512) for turn in range(pairs)]
    value, gain = statistics.median(same), statistics.median(packed)
    details = {"ratios": same, "packed on the sample": round(gain, 3), "packed ratios": packed}
    holds = value >= GOAL and gain >= PACKED_GOAL
    report("train_speed", round(value, 3), "of a plain script", f"≥ {GOAL}; packed ≥ {PACKED_GOAL}", holds, details)


def _even() -> list[dict[str, Any]]:
    """Rows of the same number of tokens, since each digit is one: none is cut, divided or padded."""
    line = "Entry {0:05d} of the register stands on page {1:05d}, and the clerk has signed it. "
    texts = ((line * 2).format(n, n * 7919 % 100_000) for n in range(STEPS * BATCH))
    return [row("", text, "train") for text in texts]


def _pair(rows: list[dict[str, Any]], turn: int, *, packing: bool | str, max_tokens: int) -> float:
    """Our rate over the plain script's."""
    settings = {"batch": BATCH, "max_steps": STEPS, "epochs": 2, "packing": packing, "max_tokens": max_tokens}
    with tempfile.TemporaryDirectory() as scratch:
        _, spec, run = fine_tune_of(Path(scratch), rows, settings)
        rates: dict[str, float] = {}
        for side in ("ours", "plain") if turn % 2 == 0 else ("plain", "ours"):
            if side == "plain":
                rates[side] = _plain(run.base.path, rows, max_tokens, Path(scratch))
            else:
                train(run, spec, rows)
                rates[side] = run.summary["tokens_per_second"]
    return round(rates["ours"] / rates["plain"], 3)


def _plain(model: Path, rows: list[dict[str, Any]], max_tokens: int, scratch: Path) -> float:
    file = scratch / "rows.json"
    file.write_text(json.dumps([[row["prompt"], row["completion"]] for row in rows]), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.plain_training"]
    command += [str(model), str(file), str(STEPS), str(BATCH), str(max_tokens), str(scratch / "plain")]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
