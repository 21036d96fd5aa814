"""A second materialisation of the whole sample, with nothing changed, computes nothing.

    python -m benchmarks.no_change [--full]

The first run brings the sample of the chosen target up to date, as `make demo` does; `--full` starts from nothing.
What the second run did is read from what its materialisations reported.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from benchmarks.common import ROOT, report, seconds
from llm_assets.run_work import WORK, work_of_last_run

SELECTION = 'key:"sample/*"'


def main() -> None:
    """Materialise twice, count the work of the second run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="from an empty state; trains")
    full = parser.parse_args().full
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() if full else nullcontext() as state:
        environment = {**os.environ, "DAGSTER_HOME": home}
        if state:
            environment |= {"LLM_ASSETS_TARGET": "prod", "LLM_ASSETS_STATE_DIR": state}
        first = seconds(lambda: _materialize(environment))
        second = seconds(lambda: _materialize(environment))
        work = _work(Path(home))
    total = sum(work.values())
    print(f"first {first:.1f} s, second {second:.1f} s; the second did: {work}")
    details: dict[str, object] = {**work, "first_seconds": round(first, 1), "second_seconds": round(second, 1)}
    report("no_change", total, "documents parsed + texts embedded + training steps", "= 0", total == 0, details)


def _materialize(environment: dict[str, str]) -> None:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "dagster",
        "asset",
        "materialize",
        "-m",
        "llm_assets.definitions",
    ]
    config = json.dumps({"loggers": {"console": {}}})
    subprocess.run([*command, "--select", SELECTION, "--config-json", config], cwd=ROOT, env=environment, check=True)


def _work(home: Path) -> dict[str, int]:
    """Work of the newest run.

    Raises:
        LookupError: a kind of work that no asset reported: then a zero would mean nothing.
    """
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home)) as instance:
        found = work_of_last_run(instance)
    if missing := set(WORK.values()) - set(found):
        raise LookupError(f"no asset reported: {', '.join(sorted(missing))}")
    return found


if __name__ == "__main__":
    main()
