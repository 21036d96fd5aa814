"""Say when a command works on another Dagster instance than the project's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from resources.profile import ROOT


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


def warn_if_foreign() -> None:
    """Print it, once a process, on standard error."""
    if told := foreign_instance(os.environ.get("DAGSTER_HOME"), Path.cwd()):
        print(f"llm-assets: {told}", file=sys.stderr)
