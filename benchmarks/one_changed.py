"""One changed document of a thousand: what the asset bodies cost, against the full run.

    python -m benchmarks.one_changed [--full]

Imports are left out on both sides: they are done before the clock starts. `wall` is a whole new process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.chain import make_platform, make_spec, run_chain, write_documents
from benchmarks.common import ROOT, report

STAGES = ("documents", "chunks", "embeddings", "vector_index")
GOAL = 0.02


def main() -> None:
    """Build, change one document three times, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="3,000 documents")
    parser.add_argument("--update", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.update:
        run_chain(make_platform(options.update), make_spec(options.update))
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), 3000 if options.full else 1000)


def measure(folder: Path, count: int) -> None:
    """The full run, then updates."""
    _warm(folder / "warm")
    write_documents(folder, count)
    platform, spec = make_platform(folder), make_spec(folder)
    full = run_chain(platform, spec)
    updates = []
    for turn in range(3):
        _change(folder, turn)
        updates.append(run_chain(platform, spec))
        assert (updates[-1]["parsed"], updates[-1]["cut"]) == (1, 1), updates[-1]
    _change(folder, 3)
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "benchmarks.one_changed", "--update", str(folder)], cwd=ROOT, check=True)
    wall = time.perf_counter() - started
    _report(count, full, updates, wall)


def _report(count: int, full: dict[str, float], updates: list[dict[str, float]], wall: float) -> None:
    print(f"{'stage':<14}{'full, s':>10}{'one changed, s':>16}")
    for stage in STAGES:
        print(f"{stage:<14}{full[stage]:>10.2f}{median(update[stage] for update in updates):>16.3f}")
    total, one = _total(full), median(map(_total, updates))
    details = {"documents": count, "full_seconds": round(total, 2), "update_seconds": round(one, 3)}
    details |= {"wall_seconds_of_a_new_process": round(wall, 2), "texts_embedded": full["embedded"]}
    report("one_changed", round(one / total, 4), "share of the full run", f"<= {GOAL}", one / total <= GOAL, details)


def _total(run: dict[str, float]) -> float:
    return sum(run[stage] for stage in STAGES)


def _change(folder: Path, turn: int) -> None:
    file = folder / "documents" / "00500.md"
    file.write_text(file.read_text(encoding="utf-8") + f"\n\nAmended for the {turn + 1}. time.\n", encoding="utf-8")


def _warm(folder: Path) -> None:
    """Imports and the exported embedder, which every real installation has after its first run."""
    write_documents(folder, 3, seed=1)
    run_chain(make_platform(folder), make_spec(folder))
    cache = folder / "state" / "cache"
    target = folder.parent / "state" / "cache"
    target.parent.mkdir(parents=True)
    cache.rename(target)


if __name__ == "__main__":
    main()
