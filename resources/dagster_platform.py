"""The platform as a Dagster resource: which target a run works on."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from resources.platform import Platform

PLATFORM_KEY = "platform"


class PlatformResource(dg.ConfigurableResource):
    """State database, tables, index, caches and run directories of one target of profiles.yml."""

    target: str = Field(description="A target of dbt_like_configs/profiles.yml.")

    def open(self) -> Platform:
        """The platform; nothing is opened or made before it is used."""
        return Platform.open(self.target)
