"""Two dozen runs of four demands on eight pretended devices, under three ways to share them.

    python -m scripts.demo_pools [--only ours] [--runs N]

Runs go through Dagster's own daemon and queue; each step holds a real lease while a child process sleeps.
"""

from __future__ import annotations

import argparse
import sys
import time

from scripts.demo_pools.plan import arrivals
from scripts.demo_pools.processes import DemoError
from scripts.demo_pools.report import lines
from scripts.demo_pools.running import Result, run_setup
from scripts.demo_pools.setups import ROOT, SETUPS

FOLDER = ROOT / ".state" / "demo-pools"


def main() -> int:
    """Returns 1 if a set-up did not work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[setup.name for setup in SETUPS], action="append", help="this set-up")
    parser.add_argument("--runs", type=int, help="so many of the runs; default: all")
    options = parser.parse_args()
    began, results = time.monotonic(), []
    try:
        for setup in SETUPS:
            if not options.only or setup.name in options.only:
                print(f"{setup.name}: {setup.title} …", flush=True)
                results.append(run_setup(setup, FOLDER / setup.name, arrivals(options.runs)))
                print(f"  {len(results[-1].runs)} runs in {results[-1].span:.0f} s", flush=True)
    except DemoError as error:
        print(f"demo-pools: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print("\n".join(["", *lines(results), "", *_pictures(results)]))
    print(f"{time.monotonic() - began:.0f} s in all")
    return 0


def _pictures(results: list[Result]) -> list[str]:
    """Write them; where they are."""
    said = []
    for result in results:
        if result.picture:
            file = FOLDER / f"gantt-{result.setup.name}.png"
            file.write_bytes(result.picture)
            said.append(f"Gantt chart: {file.relative_to(ROOT)}, and the asset `accelerators` of {FOLDER.name}")
    return said


if __name__ == "__main__":
    sys.exit(main())
