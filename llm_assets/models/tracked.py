"""What trackers are told of trainings and evaluations, from the step's side while they run. No text of a document."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llm_assets import evaluations
from llm_assets.models.lineage import code_version, run_key
from llm_assets.training.reporting import METRICS
from resources.digests import digest_json
from resources.tracking import relay
from resources.tracking.tracker import Point, Tracker

if TYPE_CHECKING:
    from llm_assets.models.fine_tune import Run
    from llm_assets.models.settings import FineTuneSpec
    from resources.platform import Platform

TELL_SECONDS = 10  # between batches of a running training's figures
NO_FIGURES = {"step", "steps", "time", "eta_seconds"}


@contextmanager
def training(platform: Platform, spec: FineTuneSpec, run: Run, dagster_run: str) -> Iterator[TrainingTold]:
    """Tell of a training while it runs, and how it ended; of one that is finished only where nobody knows of it."""
    told = TrainingTold(platform, spec, run)
    new = not run.finished or not told.known
    if new:
        told.started(dagster_run)
    try:
        yield told
    except BaseException as error:
        if new:
            told.ended("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    if new:
        told.ended("FINISHED")


class TrainingTold:
    """The figures of a training, read from its record as it grows: also those of before a kill."""

    def __init__(self, platform: Platform, spec: FineTuneSpec, run: Run) -> None:
        self._platform, self._spec, self._run = platform, spec, run
        self._tracker, self._key = Tracker.of(platform), run_key(spec, run)
        self._read, self._due = 0, time.monotonic() + TELL_SECONDS

    @property
    def known(self) -> bool:
        """Whether it was told of before."""
        return self._tracker.known(self._key)

    def started(self, dagster_run: str) -> None:
        """What it is made of."""
        run, spec = self._run, self._spec
        params = {"model": run.base.reference, "model digest": run.base.digest, "data digest": run.data}
        tags = {"tenant": spec.tenant, "model": spec.name, "dagster_run": dagster_run, "code": code_version()}
        settings, decisive = run.settings.model_dump(), run.settings.decisive
        carried_out = {name: value for name, value in settings.items() if name not in decisive}
        self._tracker.run_started(
            self._key,
            f"{spec.name} {run.path.name[:8]}",
            params | flat(decisive),
            tags | flat(carried_out),
            experiment=spec.id,
        )
        self._tell()

    def beside(self, each: Callable[[], None]) -> Callable[[], None]:
        """`each`, and the newest figures every few seconds."""

        def both() -> None:
            each()
            if time.monotonic() >= self._due:
                self._tell()
                self._due = time.monotonic() + TELL_SECONDS

        return both

    def ended(self, status: str) -> None:
        """The rest of its figures, and how it ended."""
        self._tell()
        if self._run.finished:
            summary = {f"training/{name}": value for name, value in self._run.summary.items() if _is_number(value)}
            self._tracker.metrics(self._key, 0, summary)
        self._tracker.ended(self._key, status)  # pyright: ignore[reportArgumentType]
        if status == "KILLED":
            relay.leave(self._platform)
        else:
            relay.send(self._platform)

    def _tell(self) -> None:
        points = [_point(row) for row in self._news()]
        self._tracker.curve(self._key, points)
        relay.send(self._platform)

    def _news(self) -> Iterator[dict[str, Any]]:
        """Rows that the record has got since the last look; a line that is still being written waits."""
        file = self._run.path / METRICS
        if not file.exists():
            return
        with file.open("rb") as lines:
            start = self._read if file.stat().st_size >= self._read else 0
            lines.seek(start)
            whole, newline, _ = lines.read().rpartition(b"\n")
        self._read = start + len(whole) + len(newline)
        for line in whole.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # cut off by a kill
            if "step" in row:
                yield row


def where(platform: Platform) -> dict[str, str]:
    """For metadata: whether the server knows everything. Waits some seconds for it, but not for one that is away."""
    return {"tracking": relay.flush(platform)} if platform.profile.tracking.enabled else {}


def evaluated(
    platform: Platform, spec: FineTuneSpec, run: Run, files: Callable[[], Mapping[str, bytes | str]]
) -> None:
    """Tell of an evaluation, unless it was told of.

    Args:
        platform: keeps the evaluation.
        spec, run: what was evaluated.
        files: gives its tables and pictures by name; called only where they are news.
    """
    found = evaluations.find(platform.state, spec.tenant, "model", spec.name, run.version)
    if found is None:
        return
    tracker, key = Tracker.of(platform), run_key(spec, run)
    estimates: Mapping[str, Mapping[str, float]] = found.details["estimates"]
    values = {f"evaluation/{name}": value for name, value in found.metrics.items() if _is_number(value)}
    for name, estimate in estimates.items():
        values |= {f"interval/{name}.{end}": estimate[end] for end in ("low", "high")}
    tracker.evaluated(key, digest_json([found.subject, values]), values, files)
    relay.send(platform)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `part.field`; what is None was not set."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif value is not None:
            found[f"{prefix}{name}"] = value
    return found


def _point(row: dict[str, Any]) -> Point:
    values = {f"training/{name}": row[name] for name in row if name not in NO_FIGURES and _is_number(row[name])}
    return Point(int(row["step"]), values, row.get("time"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
