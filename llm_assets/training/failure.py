"""Why a job failed, left in the run directory for the step that waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llm_assets.training.jobs import write_json

FAILURE = "failure.json"


@contextmanager
def told(run: Path) -> Iterator[None]:
    """Write an exception's type and message to the run directory, and let it pass."""
    (run / FAILURE).unlink(missing_ok=True)
    try:
        yield
    except Exception as error:
        write_json(run / FAILURE, {"kind": type(error).__name__, "message": str(error)})
        raise
