"""Say when a command works on another Dagster instance than the project's own."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from resources.profile import ROOT

OUR_STORAGES = "resources.accelerators.dagster_pools"


def foreign_instance(home: str | None, folder: Path) -> str | None:
    """Why the project's own instance is not the one in use, and the way out; None where it is.

    Args:
        home: the value of DAGSTER_HOME.
        folder: the working directory: paths in dagster.yaml start there.
    """
    if not home:
        if folder.resolve() == ROOT:
            return None  # Dagster then reads the dagster.yaml of the working directory: the project's own
        return f"DAGSTER_HOME is not set: runs are not kept, the UI will not show them. export DAGSTER_HOME={ROOT}"
    if Path(home).resolve() != ROOT:
        return f"DAGSTER_HOME is {home}: {ROOT / 'dagster.yaml'} is not used. export DAGSTER_HOME={ROOT}"
    if folder.resolve() != ROOT:
        return f"the working directory is not the project: Dagster keeps this run in {folder}/.state. cd {ROOT}"
    return None


def stock_pools(home: str | None, folder: Path) -> str | None:
    """Why the pools of accelerators.yml are not kept by this instance, and the way out; None where they are.

    Args:
        home, folder: as for `foreign_instance`.
    """
    file = Path(home or folder) / "dagster.yaml"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if len(re.findall(rf"^\s+module:\s*{re.escape(OUR_STORAGES)}", text, re.MULTILINE)) >= 2:  # of runs, of events
        return None
    return (
        f"{file} does not name the storages of {OUR_STORAGES}: Dagster does not know the pools of accelerators.yml, "
        "and a step waits for its devices itself, in a process of its own. "
        f"Copy run_storage and event_log_storage from {ROOT / 'dagster.yaml'}"
    )


def warn_if_foreign() -> None:
    """Print it, once a process, on standard error."""
    home, folder = os.environ.get("DAGSTER_HOME"), Path.cwd()
    for told in (foreign_instance(home, folder), stock_pools(home, folder)):
        if told:
            print(f"llm-assets: {told}", file=sys.stderr)
