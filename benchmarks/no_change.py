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

WORK = ("parsed in this run", "texts embedded in this run", "steps in this run")
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
        work = _work_of_last_run(Path(home))
    total = sum(work.values())
    print(f"first {first:.1f} s, second {second:.1f} s; the second did: {work}")
    details = {**work, "first_seconds": round(first, 1), "second_seconds": round(second, 1)}
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


def _work_of_last_run(home: Path) -> dict[str, int]:
    """Work as the materialisations of the newest run report it, by kind.

    Raises:
        LookupError: a kind of work that no asset reports: then a zero would mean nothing.
    """
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home)) as instance:
        run = instance.get_runs(limit=1)[0]
        events = [log.dagster_event for log in instance.all_logs(run.run_id) if log.dagster_event]
    found: dict[str, int] = {}
    for event in events:
        if event.event_type_value == "ASSET_MATERIALIZATION":
            metadata = event.step_materialization_data.materialization.metadata
            for name in WORK:
                if name in metadata:
                    found[name] = found.get(name, 0) + int(str(metadata[name].value))
    if missing := set(WORK) - set(found):
        raise LookupError(f"no asset reported: {', '.join(sorted(missing))}")
    return found


if __name__ == "__main__":
    main()
