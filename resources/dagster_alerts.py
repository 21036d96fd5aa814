"""Alerts as a Dagster resource."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from resources.alerts import Alerts
from resources.platform import Platform

ALERTS_KEY = "alerts"


class AlertsResource(dg.ConfigurableResource):
    """Tells people what has failed: the log, and where `alerts:` of the target says so, Slack or a webhook."""

    target: str = Field(description="A target of dbt_like_configs/profiles.yml.")

    def open(self, platform: Platform | None = None) -> Alerts:
        """The alerts of the target; nothing is opened before the first is sent."""
        return Alerts(platform or Platform.open(self.target))
