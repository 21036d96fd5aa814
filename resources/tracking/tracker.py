"""Tell a tracking server what happens, whether it is there or not: the state database notes everything first."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from resources import state_schema as schema
from resources.state import State, now
from resources.tracking import outbox

if TYPE_CHECKING:
    from resources.platform import Platform
    from resources.tracking.settings import Destination

MOST_METRICS = 1000  # of one MLflow request
PROMOTED = "promoted"
Files = Callable[[], Mapping[str, bytes | str]]
Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class Point:
    """Figures of one step.

    Attributes:
        step: counted from 1.
        values: by name.
        at: seconds since the epoch; None is now.
    """

    step: int
    values: Mapping[str, float]
    at: float | None = None


class Tracker:
    """What is told of runs and models. Nothing here waits for the server, or fails because it is away.

    Args:
        state: keeps what is to be told.
        enabled: False tells nothing.
    """

    def __init__(self, state: State, *, enabled: bool = True) -> None:
        self._state, self._enabled = state, enabled

    @classmethod
    def of(cls, platform: Platform) -> Tracker:
        """The tracker of a target."""
        return cls(platform.state, enabled=platform.profile.tracking.enabled)

    def run_started(
        self, run_key: str, name: str, params: Mapping[str, object], tags: Mapping[str, object], *, experiment: str
    ) -> None:
        """A run begins, or goes on.

        Args:
            run_key: names it for ever: a run that is told of twice is one run.
            name: for people.
            params: what decides its result.
            tags: how it is carried out, and whose it is; the newest values count.
            experiment: whose runs are compared with each other.
        """
        content = {"params": _texts(params), "tags": _texts(tags)}
        with self._state.write() as connection:
            if self._enabled:
                row = {"run_key": run_key, "experiment": experiment, "name": name, "told": {}}
                if self._told(connection, run_key) is None:
                    connection.execute(schema.tracking_runs.insert().values(**row))
                outbox.note(connection, run_key, "run", content)

    def known(self, run_key: str) -> bool:
        """Whether a run was told of."""
        with self._state.read() as connection:
            return self._told(connection, run_key) is not None

    def metrics(self, run_key: str, step: int, values: Mapping[str, float]) -> None:
        """Figures of one step; those of a step that was told of are left out."""
        self.curve(run_key, [Point(step, values)])

    def curve(self, run_key: str, points: Sequence[Point]) -> None:
        """Figures of several steps, in their order."""
        if not self._enabled or not points:
            return
        with self._state.write() as connection:
            told = self._told(connection, run_key)
            if told is None:
                return
            news = list(_news(told, points))
            for start in range(0, len(news), MOST_METRICS):
                outbox.note(connection, run_key, "metrics", {"values": news[start : start + MOST_METRICS]})
            if news:
                self._keep(connection, run_key, told)

    def evaluated(self, run_key: str, digest: str, values: Mapping[str, float], files: Files) -> bool:
        """Figures and files of an evaluation, once for each `digest`. Returns whether it is news."""
        with self._state.read() as connection:
            told = self._told(connection, run_key)
        if not self._enabled or told is None or told.get("evaluation") == digest:
            return False
        made = files()  # pictures take a moment: not in a transaction
        with self._state.write() as connection:
            told = self._told(connection, run_key)
            if not self._enabled or told is None or told.get("evaluation") == digest:
                return False
            step, at = int(told.get("evaluations", 0)), int(now() * 1000)
            points = [[name, _number(value), step, at] for name, value in values.items()]
            outbox.note(connection, run_key, "metrics", {"values": points[:MOST_METRICS]})
            for path, content in made.items():
                outbox.note(connection, run_key, "artifact", {"path": path, **_content(content)})
            self._keep(connection, run_key, told | {"evaluation": digest, "evaluations": step + 1})
        return True

    def ended(self, run_key: str, status: Status) -> None:
        """A run has ended; one that goes on later is told of again."""
        with self._state.write() as connection:
            if self._enabled and self._told(connection, run_key) is not None:
                outbox.note(connection, run_key, "ended", {"status": status, "at": int(now() * 1000)})

    def artifact(self, run_key: str, path: str, content: str | Path) -> None:
        """A text, or a file, that belongs to a run; one of the same path is replaced.

        Args:
            run_key: of the run.
            path: its name there, e.g. `card/README.md`.
            content: the text itself, or the file, which is read when it is sent.
        """
        told = {"file": self._state.kept_path(content)} if isinstance(content, Path) else {"text": content}
        with self._state.write() as connection:
            if self._enabled:
                outbox.note(connection, run_key, "artifact", {"path": path, **told})

    def registered_in(
        self, connection: sa.Connection, run_key: str, model: str, version: str, tags: Mapping[str, object]
    ) -> None:
        """A version of a model is promoted, in the transaction that promotes it."""
        if self._enabled:
            outbox.note(connection, run_key, "version", {"model": model, "version": version, "tags": _texts(tags)})
            self.moved_in(connection, run_key, model, version)

    def moved_in(self, connection: sa.Connection, run_key: str, model: str, version: str) -> None:
        """The alias `promoted` of a model moves to a registered version, in the transaction that moves it."""
        if self._enabled:
            outbox.note(connection, run_key, "alias", {"model": model, "alias": PROMOTED, "version": version})

    def _told(self, connection: sa.Connection, run_key: str) -> dict[str, Any] | None:
        table = schema.tracking_runs
        query = sa.select(table.c.told).where(table.c.run_key == run_key)
        return connection.execute(query).scalar_one_or_none()

    def _keep(self, connection: sa.Connection, run_key: str, told: Mapping[str, Any]) -> None:
        table = schema.tracking_runs
        connection.execute(table.update().where(table.c.run_key == run_key).values(told=dict(told)))


def told_where(state: State, destination: Destination) -> str:
    """In one sentence: whether a server knows everything, for the log and for metadata."""
    found = outbox.heard(state, destination.shown)
    lost = f"; {found.put_off} failed there, to be sent again" if found.put_off else ""
    lost += f"; {found.refused} refused: llm-assets tracking" if found.refused else ""
    if not found.waiting:
        return f"{destination.shown} knows everything{lost}"
    why = f" ({found.failure})" if found.failure else ""
    things = "1 thing waits" if found.waiting == 1 else f"{found.waiting} things wait"
    return f"{things} for {destination.shown}{why}, to be sent later{lost}"


def _news(told: dict[str, Any], points: Iterable[Point]) -> Iterator[list[str | float | int]]:
    """Figures of steps after the last one that was told, each figure by itself; `told` moves on."""
    for point in points:
        at = int((now() if point.at is None else point.at) * 1000)
        for name, value in point.values.items():
            if point.step > told.get(name, -1):
                told[name] = point.step
                yield [name, _number(value), point.step, at]


def _content(content: bytes | str) -> dict[str, str]:
    return {"text": content} if isinstance(content, str) else {"base64": base64.b64encode(content).decode()}


def _number(value: float) -> float | str:
    """JSON, as databases read it, has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else str(float(value))


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}
