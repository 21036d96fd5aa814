"""Alerts in the state database: put once a key, sent until taken, kept for a while so that nothing is told twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from resources.alerts.alert import Alert
from resources.state import State, now
from resources.state_schema import alerts

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

FIRST_WAIT, LONGEST_WAIT = 15.0, 3600.0
GIVEN_UP_AFTER = 3 * 86_400.0
KEPT = 60 * 86_400.0
LOG = "log"


class Outbox:
    """The table `alerts` of a state database. Several processes may put; one sends (its caller holds a lock)."""

    def __init__(self, state: State) -> None:
        self._state = state

    def put(self, alert: Alert, channels: Iterable[str], connection: Connection | None = None) -> bool:
        """Keep an alert for the log and each channel. False: one of this key is there.

        Args:
            connection: a transaction that it is to be part of; else it has one of its own.
        """
        if connection is None:
            with self._state.write() as own:
                return self.put(alert, channels, own)
        if connection.execute(sa.select(alerts.c.key).where(alerts.c.key == alert.key).limit(1)).first():
            return False
        at = now()
        common = {"key": alert.key, "alert": alert.row(), "created_at": at, "attempts": 0, "next_at": at}
        rows = [common | {"channel": name} for name in (LOG, *channels)]
        self._state.put_in(connection, alerts, rows)
        return True

    def due(self, channel: str) -> list[Alert]:
        """What a channel is to be sent now: what failed least often first, then the oldest."""
        query = (
            sa.select(alerts.c.alert)
            .where(*_waiting(channel), alerts.c.next_at <= now())
            .order_by(alerts.c.attempts, alerts.c.created_at, alerts.c.key)
        )
        return [Alert.of_row(row["alert"]) for row in self._state.rows(query)]

    def delivered(self, key: str, channel: str) -> None:
        """The channel has taken it."""
        self._update(key, channel, delivered_at=now(), problem=None)

    def failed(self, key: str, channel: str, problem: str, wait: float = 0.0) -> float:
        """The channel has not taken it: it and all that waits for the channel rest a while. Seconds until then."""
        row = self._state.first(sa.select(alerts.c.attempts).where(*_one(key, channel)))
        attempts = (row["attempts"] if row else 0) + 1
        pause = max(wait, min(FIRST_WAIT * 2 ** min(attempts - 1, 20), LONGEST_WAIT))
        with self._state.write() as connection:
            rest = sa.update(alerts).where(*_waiting(channel), alerts.c.next_at < now() + pause)
            connection.execute(rest.values(next_at=now() + pause))
            connection.execute(
                sa.update(alerts).where(*_one(key, channel)).values(attempts=attempts, problem=problem)
            )
        return pause

    def given_up(self, channel: str) -> list[Alert]:
        """What a channel has not taken for three days. It is not tried any more, and named here once."""
        old = (*_waiting(channel, young=False), alerts.c.created_at < now() - GIVEN_UP_AFTER)
        found = self._state.rows(sa.select(alerts.c.alert).where(*old))
        if found:
            with self._state.write() as connection:
                connection.execute(sa.update(alerts).where(*old).values(delivered_at=0.0))
        return [Alert.of_row(row["alert"]) for row in found]

    def tidy(self) -> None:
        """Forget what was done with two months ago."""
        old = alerts.c.created_at < now() - KEPT
        if self._state.first(sa.select(alerts.c.key).where(old).limit(1)):
            with self._state.write() as connection:
                connection.execute(sa.delete(alerts).where(old))

    def _update(self, key: str, channel: str, **values: object) -> None:
        with self._state.write() as connection:
            connection.execute(sa.update(alerts).where(*_one(key, channel)).values(**values))


def _one(key: str, channel: str) -> tuple[sa.ColumnElement[bool], ...]:
    return alerts.c.key == key, alerts.c.channel == channel


def _waiting(channel: str, *, young: bool = True) -> tuple[sa.ColumnElement[bool], ...]:
    rest = (alerts.c.created_at >= now() - GIVEN_UP_AFTER,) if young else ()
    return alerts.c.channel == channel, alerts.c.delivered_at.is_(None), *rest
