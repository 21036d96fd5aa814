"""The MLflow UI over the database of the chosen target, on this machine's loopback.

python -m resources.tracking.ui MLFLOW_COMMAND PORT
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from resources.profile import load_profile
from resources.tracking.settings import Destination


def command(mlflow: str, port: int, destination: Destination) -> list[str]:
    """The command that serves a local database.

    Raises:
        SystemExit: the target tells a server, which has a UI of its own.
    """
    if destination.artifacts is None:
        raise SystemExit(f"this target tells the MLflow server at {destination.shown}: its UI is there")
    Path(destination.artifacts).mkdir(parents=True, exist_ok=True)
    where = ["--backend-store-uri", destination.uri, "--default-artifact-root", destination.artifacts]
    return [mlflow, "server", *where, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]


def main() -> None:
    """Become the server."""
    mlflow, port = sys.argv[1:]
    profile = load_profile()
    arguments = command(mlflow, int(port), profile.tracking.destination(profile.state_dir))
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    os.execve(mlflow, arguments, {**os.environ, **quiet})  # noqa: S606  (the command of our own environment)


if __name__ == "__main__":
    main()
