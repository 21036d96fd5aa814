"""What parsing one document gives: elements, or the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["title", "text", "list_item", "table", "code"]

Code = Literal[
    "empty",
    "encrypted",
    "oversized",
    "unsupported",
    "corrupt",
    "timeout",
    "memory",
    "nothing_extracted",
    "vanished",
    "unreadable",
]


@dataclass(frozen=True)
class Element:
    """One paragraph, heading, list item, table or code block of a document.

    Args:
        kind: what it is.
        text: clean text; a table has one line per row, its cells separated by " | ".
        page: from 1, where the format has pages (PDF pages, slides).
        level: depth of a heading from 1, for titles only.
    """

    kind: Kind
    text: str
    page: int | None = None
    level: int | None = None


@dataclass(frozen=True)
class Parsed:
    """A document's content.

    Args:
        content_digest: of the file's bytes.
        media_type: what the content is, whatever the file is called.
        language: ISO 639-1, e.g. "en", "ja"; "und" where there is no word to tell.
        title: from the format's metadata, else the first heading.
        elements: in reading order, never empty.
    """

    content_digest: str
    media_type: str
    language: str
    title: str | None
    elements: list[Element]


@dataclass(frozen=True)
class Quarantined:
    """A document that was not parsed. `reason` is a sentence for people, with the way out where there is one."""

    content_digest: str | None
    code: Code
    reason: str


@dataclass(frozen=True)
class Unchanged:
    """The file's bytes have the digest that the caller already knows: it was not parsed."""

    content_digest: str


Result = Parsed | Quarantined | Unchanged


class Refused(Exception):
    """Raised anywhere in a parse to quarantine the document.

    Args: code: why, for machines; reason: why, for people, with the way out.
    """

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code: Code = code
        self.reason = reason


def to_json(result: Result) -> dict[str, Any]:
    """A result as plain JSON values, for the pipe between worker and pool; an element is a list of its fields."""
    fields = {name: getattr(result, name) for name in result.__dataclass_fields__}
    if isinstance(result, Parsed):
        fields["elements"] = [[e.kind, e.text, e.page, e.level] for e in result.elements]
    return {"type": type(result).__name__, **fields}


def from_json(value: dict[str, Any]) -> Result:
    """The inverse of `to_json`."""
    fields = {key: item for key, item in value.items() if key != "type"}
    if value["type"] == "Parsed":
        return Parsed(**{**fields, "elements": [Element(*element) for element in fields["elements"]]})
    return Quarantined(**fields) if value["type"] == "Quarantined" else Unchanged(**fields)
