"""Run every benchmark and write its line into README's table: `python -m benchmarks [--full] [NAME …]`."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.common import ROOT

WEAVIATE = ("weaviate_speed", "index_100k", "weaviate_kill")
NAMES = (
    "load",
    "no_change",
    "one_changed",
    "ingest",
    "embed",
    "retrieval",
    "parsing",
    "memory",
    "estimates",
    "train_speed",
    "train_quality",
    "resume",
    "sensor_tick",
    "reaction",
    "buckets",
    "ledger_safety",
    "ledger_latency",
    "waiting",
    "kill",
    *WEAVIATE,
)
README = ROOT / "README.md"
TABLE = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.DOTALL)
RESULTS = ROOT / "benchmarks" / "results.json"


def main() -> int:
    """Returns 1 if a goal was missed or a benchmark failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--full", action="store_true", help="all data, instead of a stated part of it")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in options.names:
        print(f"== {name}", flush=True)
        results[name] = _run(name, options.full)
        RESULTS.write_text(json.dumps(results, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    write_table(README, results)
    return int(not all(results[name]["holds"] for name in options.names))


def _run(name: str, full: bool) -> dict[str, object]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *(["--full"] if full else [])]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    print(done.stdout, flush=True)
    if done.returncode:
        return {"name": name, "value": None, "unit": "", "goal": "", "holds": False, "details": {"failed": True}}
    return json.loads(done.stdout.strip().splitlines()[-1])


def write_table(readme: Path, results: dict[str, dict[str, object]]) -> None:
    """Put the results between README's marks."""
    rows = ["| measured by | value | goal | |", "|---|---|---|---|"]
    for name in NAMES:
        if found := results.get(name):
            mark = "holds" if found["holds"] else "missed"
            rows.append(
                f"| `python -m benchmarks.{name}` | {found['value']} {found['unit']} | {found['goal']} | {mark} |"
            )
    text = readme.read_text(encoding="utf-8")
    readme.write_text(TABLE.sub(lambda marks: marks[1] + "\n".join(rows) + "\n" + marks[2], text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
