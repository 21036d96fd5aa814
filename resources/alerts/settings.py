"""`alerts:` and `retries:` of a target in profiles.yml."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError


class AlertSettings(BaseModel):
    """Where alerts go, beside the log, which has them all. The URLs are secrets: no message and no log shows them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slack: SecretStr | None = Field(
        default=None, description="URL of a Slack incoming webhook; from the environment: env_var('…', none)."
    )
    webhook: SecretStr | None = Field(
        default=None, description="URL to which each alert is posted as JSON; from the environment."
    )
    ui: str = Field(
        default="http://127.0.0.1:3000", description="Where people open the Dagster UI; links in alerts start there."
    )
    timeout_seconds: float = Field(
        default=5, gt=0, le=30, description="How long a webhook may take to answer; then it is asked again later."
    )

    @field_validator("slack", "webhook", mode="before")
    @classmethod
    def _web_address(cls, value: object) -> object:
        """An error of the type `secret`: `config_errors` says what is wrong without the value."""
        if value is None or value == "":
            return None
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if not _is_web_address(text):
            raise PydanticCustomError(
                "secret", "a URL with https:// or http:// is needed; the given one is not shown"
            )
        return SecretStr(text)

    @property
    def channels(self) -> dict[str, SecretStr]:
        """Channel to URL, of those that are configured."""
        found = {"slack": self.slack, "webhook": self.webhook}
        return {name: url for name, url in found.items() if url is not None}


class RetrySettings(BaseModel):
    """How often a run is tried again after what a retry can help: a service, device or host that was away."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    most: int = Field(default=3, ge=0, le=20, description="Retries of a run at most; 0 never retries.")
    after_seconds: float = Field(
        default=30,
        gt=0,
        le=86_400,
        description="Wait before the first retry; each further one waits four times as long.",
    )


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
