"""`automation:` in YAML: when a corpus or a fine-tune runs without anybody pressing a button."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, field_validator

ON_CHANGE, MANUAL = "on_change", "manual"
WORD, TIMES = "(word)", "(times)"  # tags of the two kinds; in brackets, so that no error shows them
TICKS = 60  # of a cron string that are looked at for its longest pause: all weekdays, months, and month ends


class Cron(BaseModel):
    """At the times of a cron string.

    A local time that the clocks skip in spring runs at the first minute after the gap; one that they pass twice in
    autumn runs once, the second time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cron: str = Field(description='Five fields: minute, hour, day, month, weekday. "0 3 * * *" is every night at 3.')
    timezone: str = Field(default="UTC", description="IANA name, for example Asia/Tokyo.")

    @field_validator("cron")
    @classmethod
    def _cron(cls, cron: str) -> str:
        from dagster._utils.schedules import is_valid_cron_string

        text = " ".join(cron.split())
        if not is_valid_cron_string(text):
            raise ValueError('is no cron string: minute, hour, day, month, weekday, for example "0 3 * * *"')
        return text

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (KeyError, ValueError, OSError):
            raise ValueError("is no IANA time zone, such as UTC, Europe/Berlin or Asia/Tokyo") from None
        return timezone

    def ticks(self, start: datetime) -> Iterator[datetime]:
        """The times from `start` on, without end, as Dagster's schedules read a cron string."""
        from dagster._utils.schedules import schedule_execution_time_iterator

        return schedule_execution_time_iterator(start.timestamp(), self.cron, self.timezone)

    @property
    def longest_pause(self) -> timedelta:
        """The longest time between two of the next `TICKS` runs."""
        ticks = [tick.astimezone(UTC) for tick in islice(self.ticks(datetime.now(UTC)), TICKS)]
        return max(after - before for before, after in pairwise(ticks))


def _tag(value: Any) -> str:
    return TIMES if isinstance(value, dict | Cron) else WORD


_SCHEMA = {
    "if": {"type": "object"},
    "then": Cron.model_json_schema(),
    "else": {"enum": [ON_CHANGE, MANUAL]},
    "description": "When it runs by itself.",
}

Automation = Annotated[
    Annotated[Literal["on_change", "manual"], Tag(WORD)] | Annotated[Cron, Tag(TIMES)],
    Discriminator(_tag),
    WithJsonSchema(_SCHEMA),
]
