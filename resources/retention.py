"""How long what is no longer used stays, in profiles.yml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RetentionSettings(BaseModel):
    """Days; what is served, promoted, kept for a rollback or shown as an asset's state stays for as long as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runs_days: float = Field(default=30, gt=0, description="Finished runs of Dagster, with their events and logs.")
    logs_days: float = Field(default=14, gt=0, description="Logs of finished runs.")
    trainings_days: float = Field(default=14, gt=0, description="Folders of superseded or abandoned trainings.")
