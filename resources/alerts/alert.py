"""What an alert says, and how each channel wants to have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

MOST_CHARS = 2500  # of a text; Slack refuses a section over 3,000
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Alert:
    """One thing that people should know. It holds no text of a document and no secret: it leaves the house.

    Args:
        key: names the event. What has the same key is told once, however often it is sent, also after a restart.
        title: one line: whose what has failed, and why.
        severity: an error needs somebody; a warning may mend itself.
        what: the failed part's own sentence.
        tried: what was done about it, and what will be.
        advice: what to do.
        tenant: whose it is.
        assets: `tenant/name/stage`.
        run_id: Dagster's id of the run.
        link: the page of the UI to look at.
    """

    key: str
    title: str
    severity: Severity = "error"
    what: str = ""
    tried: str = ""
    advice: str = ""
    tenant: str | None = None
    assets: tuple[str, ...] = ()
    run_id: str | None = None
    link: str | None = None

    @property
    def lines(self) -> list[str]:
        """The title, then a line for each thing that is known."""
        assets = ", ".join(self.assets[:10]) + (f" and {len(self.assets) - 10} more" if len(self.assets) > 10 else "")
        parts = {
            "what": self.what,
            "assets": assets,
            "tried": self.tried,
            "to do": self.advice,
            "run": self.run_id or "",
            "look at": self.link or "",
        }
        return [self.title, *(f"{name}: {_short(value)}" for name, value in parts.items() if value)]

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)

    def row(self) -> dict[str, Any]:
        """As it is kept in the outbox, and posted to a webhook."""
        return asdict(self) | {"assets": list(self.assets)}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Alert:
        """The inverse of `row`; fields of another version are left out."""
        known: dict[str, Any] = {name: value for name, value in row.items() if name in cls.__dataclass_fields__}
        known["assets"] = tuple(known.get("assets", ()))
        return cls(**known)


def payload(channel: str, alert: Alert) -> dict[str, Any]:
    """The JSON that a channel is sent.

    Slack: an incoming webhook's (https://api.slack.com/messaging/webhooks). Any other: the alert's fields and text.
    """
    if channel != "slack":
        return alert.row() | {"text": alert.text}
    title, *rest = (_escaped(line) for line in alert.lines)
    mark = ":red_circle:" if alert.severity == "error" else ":large_yellow_circle:"
    body = f"{mark} *{title}*" + "".join(f"\n{line}" for line in rest)
    block = {"type": "section", "text": {"type": "mrkdwn", "text": body[:MOST_CHARS]}}
    return {"text": title, "blocks": [block]}


def _escaped(text: str) -> str:
    """The three characters that Slack reads as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _short(text: str, most: int = 800) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"
