"""Progress while a job runs: into Dagster where it listens, and into the run directory as the record."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

METRICS = "metrics.jsonl"


class Reporter:
    """Progress lines and figures of one job.

    Args:
        metrics: file that each figure is appended to, or None.
        pipes: the connection to Dagster, or None where nobody listens.
    """

    def __init__(self, metrics: Path | None, pipes: Any) -> None:
        self._metrics, self._pipes = metrics, pipes

    def say(self, message: str) -> None:
        """A line for the person who watches."""
        if self._pipes is None:
            print(message, file=sys.stderr, flush=True)
        else:
            self._pipes.log.info(message)

    def figures(self, values: dict[str, float]) -> None:
        """Figures of a moment: to the record, and to Dagster."""
        if self._metrics is not None:
            with self._metrics.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({**values, "time": round(time.time(), 3)}) + "\n")
        if self._pipes is not None:
            self._pipes.report_custom_message(values)


class Silent(Reporter):
    """Reports nothing."""

    def __init__(self) -> None:
        super().__init__(None, None)

    def say(self, message: str) -> None:
        del message


@contextmanager
def reporter(metrics: Path | None = None) -> Iterator[Reporter]:
    """The reporter of this process; Dagster listens if it has put its address into the environment."""
    from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, open_dagster_pipes

    if os.environ.get("RANK", "0") != "0":  # of several processes the first reports
        yield Silent()
        return
    if DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ:
        yield Reporter(metrics, None)
        return
    with open_dagster_pipes() as pipes:
        yield Reporter(metrics, pipes)
