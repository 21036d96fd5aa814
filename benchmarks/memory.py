"""Peak memory of the whole process tree: ten times the documents must not need more of it.

    python -m benchmarks.memory [--full]

Memory is proportional set size: pages that processes share count once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.chain import make_platform, make_spec, run_chain, write_documents
from benchmarks.common import ROOT, report

GOAL = 1.15
SAMPLE_SECONDS = 0.1


def main() -> None:
    """The chain over few and over many documents, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="10,000 documents over 1,000")
    parser.add_argument("--chain", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.chain:
        run_chain(make_platform(options.chain, workers=2), make_spec(options.chain))
        return
    few, many = (1000, 10_000) if options.full else (200, 2000)
    with tempfile.TemporaryDirectory() as folder:
        _peak(Path(folder), 5)  # exports the embedder: that is not what is compared
        peaks = {count: _peak(Path(folder), count) for count in (few, many)}
    ratio = peaks[many] / peaks[few]
    for count, peak in peaks.items():
        print(f"{count:>6} documents: {peak / 1e6:,.0f} MB at the peak")
    details = {f"{count}_documents_mb": round(peak / 1e6) for count, peak in peaks.items()}
    report("memory", round(ratio, 3), f"peak at {many} over {few} documents", f"<= {GOAL}", ratio <= GOAL, details)


def _peak(folder: Path, count: int) -> int:
    """Peak bytes of a process tree that runs the chain over `count` documents."""
    own = folder / str(count)
    write_documents(own, count, paragraphs=3)
    (own / "state").mkdir()
    (own / "state" / "cache").symlink_to(_cache(folder), target_is_directory=True)
    process = psutil.Popen([sys.executable, "-m", "benchmarks.memory", "--chain", str(own)], cwd=ROOT)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _tree_bytes(process))
        time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "the chain")
    return peak


def _cache(folder: Path) -> Path:
    cache = folder / "cache"
    cache.mkdir(exist_ok=True)
    return cache


def _tree_bytes(process: psutil.Process) -> int:
    total = 0
    for member in [process, *_children(process)]:
        try:
            total += member.memory_full_info().pss
        except psutil.Error:
            continue  # it ended while we looked
    return total


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


if __name__ == "__main__":
    main()
