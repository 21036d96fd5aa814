"""Plain text, subtitles and BEIR records: read directly, so that a text file costs no import at all."""

from __future__ import annotations

import json
import re

from llm_assets.corpora.parsing.encodings import decode
from llm_assets.corpora.parsing.readers import Document, Job
from llm_assets.corpora.parsing.results import Element
from llm_assets.corpora.parsing.text import BULLET, unwrap

BLANK_LINE = re.compile(r"\n[ \t\u3000]*\n")
CUE_TIMES = re.compile(r"-->")
CUE_TAG = re.compile(r"<(/?)(v|c|i|b|u|ruby|rt|lang)?([^<>]*)>")


def read(data: bytes, _job: Job) -> Document:
    """A paragraph between blank lines is an element; lines broken at a fixed width run on."""
    text = re.sub(r"\r\n?|\f", "\n", decode(data))
    return Document([paragraph(part) for part in BLANK_LINE.split(text) if part.strip()])


def paragraph(text: str) -> Element:
    """A text element, or a list item where the text is one bulleted line."""
    text = unwrap(text)
    alone = "\n" not in text.strip()
    return Element("list_item" if alone and BULLET.match(text) else "text", text)


def read_beir(data: bytes, _job: Job) -> Document:
    """One line of a corpus.jsonl: its title, then its text."""
    record = json.loads(data)
    title = str(record.get("title") or "").strip()
    body = [paragraph(part) for part in BLANK_LINE.split(str(record.get("text") or "")) if part.strip()]
    heading = [Element("title", title, level=1)] if title else []
    return Document(heading + body if body else [], title or None)


def read_subtitles(data: bytes, _job: Job) -> Document:
    """WebVTT or SubRip: what is said, one element per cue, without numbers and times."""
    elements = []
    for block in BLANK_LINE.split(re.sub(r"\r\n?", "\n", decode(data))):
        lines = block.strip().split("\n")
        times = next((i for i, line in enumerate(lines) if CUE_TIMES.search(line)), None)
        if times is not None:
            said = "\n".join(_spoken(line) for line in lines[times + 1 :])
            elements.append(Element("text", said))
    return Document(elements)


def _spoken(line: str) -> str:
    """A cue line without markup; `<v Roger>` keeps the speaker as "Roger: "."""
    voice = re.match(r"\s*<v(?:\.[^\s>]*)?\s+([^>]+)>", line)
    said = CUE_TAG.sub("", line[voice.end() :] if voice else line).strip()
    return f"{voice[1]}: {said}" if voice else said
