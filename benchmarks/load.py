"""Loading the code location against an empty project with the components loader, in the same environment.

    python -m benchmarks.load [--full]

Dagster loads it for every run and every step, so it has to cost little more than nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.common import ROOT, paired, report

GOAL = 1.3
PAIRS = 7

PYPROJECT = """
[project]
name = "empty"
version = "0.1.0"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "empty"
"""
DEFINITIONS = """
from pathlib import Path
from dagster import definitions, load_from_defs_folder

@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


def main() -> None:
    """Validate both, alternating."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="21 pairs")
    pairs = 21 if parser.parse_args().full else PAIRS
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder)
        _write_empty(empty)
        ours, theirs = paired(
            lambda: _validate(ROOT, "llm_assets.definitions"), lambda: _validate(empty, "empty.definitions"), pairs
        )
    a, b = median(ours), median(theirs)
    print(f"this project {a:.2f} s, an empty one {b:.2f} s (median of {pairs})")
    details = {"seconds": round(a, 3), "empty_seconds": round(b, 3), "pairs": pairs}
    report("load", round(a / b, 3), "times an empty project", f"<= {GOAL}", a / b <= GOAL, details)


def _write_empty(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    defs = folder / "empty" / "defs"
    defs.mkdir(parents=True)
    for package in (folder / "empty", defs):
        (package / "__init__.py").touch()
    (folder / "empty" / "definitions.py").write_text(DEFINITIONS, encoding="utf-8")


def _validate(folder: Path, module: str) -> None:
    # Bytecode may be written: an installed project has it.
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    environment.pop("DAGSTER_HOME", None)
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-m", module]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


if __name__ == "__main__":
    main()
