"""Tell people what has failed: the log by default; Slack or any webhook where profiles.yml names one.

`send` is cheap and asks nobody: it writes to the outbox. `deliver`, called by the sensor `run_failures`, sends what
is there, and again with growing pauses what was not taken. The log has each alert once, whatever else is configured.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from resources.alerts.alert import Alert, payload
from resources.alerts.posting import post

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from resources.alerts.outbox import Outbox
    from resources.alerts.settings import AlertSettings
    from resources.platform import Platform

__all__ = ["Alert", "Alerts"]

BUDGET_SECONDS = 10.0  # of one delivery: what is left waits for the next
_log = logging.getLogger("llm_assets.alerts")


class Alerts:
    """The alerts of one target.

    Args:
        platform: whose state database keeps them, and whose profile says where they go.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @property
    def settings(self) -> AlertSettings:
        """Of the target."""
        return self._platform.profile.alerts

    def send(self, alert: Alert, connection: Connection | None = None) -> bool:
        """Keep an alert for delivery. False: it was there already, nothing is told twice.

        Args:
            connection: a transaction of the state database that it is to be part of.

        Raises:
            StateError: the state database cannot be written.
        """
        return self._outbox.put(alert, self.settings.channels, connection)

    def run_link(self, run_id: str) -> str:
        """The run's page in the UI."""
        return f"{self.settings.ui.rstrip('/')}/runs/{run_id}"

    def deliver(self) -> int:
        """Send what is due, within `BUDGET_SECONDS`. Only one process at a time may do this. The number sent."""
        outbox, sent = self._outbox, self._to_log()
        for channel, url in self.settings.channels.items():
            for alert in outbox.given_up(channel):
                _log.error("%s: not taken for three days, given up: %s", channel, alert.title)
            sent += self._to(channel, url.get_secret_value())
        outbox.tidy()
        return sent

    @property
    def _outbox(self) -> Outbox:
        from resources.alerts.outbox import Outbox

        return Outbox(self._platform.state)

    def _to_log(self) -> int:
        from resources.alerts.outbox import LOG

        waiting = self._outbox.due(LOG)
        for alert in waiting:
            _log.log(logging.ERROR if alert.severity == "error" else logging.WARNING, "%s", alert.text)
            self._outbox.delivered(alert.key, LOG)
        return len(waiting)

    def _to(self, channel: str, url: str) -> int:
        sent, deadline = 0, time.monotonic() + BUDGET_SECONDS
        for alert in self._outbox.due(channel):
            if time.monotonic() > deadline:
                break
            answer = post(url, payload(channel, alert), alert.key, seconds=self.settings.timeout_seconds)
            if answer.problem:
                pause = self._outbox.failed(alert.key, channel, answer.problem, answer.wait)
                _log.warning("%s: %s; the alert is kept and sent again in %d s", channel, answer.problem, pause)
                break
            self._outbox.delivered(alert.key, channel)
            sent += 1
        return sent
