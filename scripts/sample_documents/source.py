"""A document's text source: a few `key: value` lines between `---`, then a small subset of Markdown.

The subset: `##`/`###` headings, `- ` list items, `| a | b |` tables without a separator row, paragraphs (one line
each). The title is not repeated in the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "sources"


@dataclass(frozen=True)
class Heading:
    """A heading; level 2 is the first below the title."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """One paragraph, without line breaks."""

    text: str


@dataclass(frozen=True)
class ListItem:
    """One item of a bulleted list."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first row is the header."""

    rows: tuple[tuple[str, ...], ...]


Block = Heading | Paragraph | ListItem | Table


@dataclass(frozen=True)
class Source:
    """A document before it has a format.

    `path` is relative to the documents folder and its suffix is the format. `fields` are the front matter's other
    lines: `encoding` of text, `from`/`to`/`date` of mail, `broken` (`truncated` or `password`).
    """

    path: str
    title: str
    language: str
    fields: dict[str, str]
    body: str
    blocks: tuple[Block, ...]

    @property
    def suffix(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def folder(self) -> str:
        return self.path.partition("/")[0]

    @property
    def broken(self) -> str | None:
        return self.fields.get("broken")


def read_source(file: Path) -> Source:
    """Read one source file.

    Raises:
        ValueError: the front matter is missing or lacks `path`, `title` or `language`.
    """
    _, separator, rest = file.read_text(encoding="utf-8").partition("---\n")
    front, closing, body = rest.partition("\n---\n")
    fields = dict(_field(line) for line in front.splitlines())
    missing = {"path", "title", "language"} - fields.keys()
    if not separator or not closing or missing:
        raise ValueError(f"{file}: the front matter lacks {', '.join(sorted(missing)) or 'its closing ---'}.")
    path, title, language = (fields.pop(name) for name in ("path", "title", "language"))
    return Source(path, title, language, fields, body.strip(), tuple(_blocks(body)))


def read_sources(folder: Path = SOURCES) -> list[Source]:
    """All sources, sorted by the path of the document that they become."""
    return sorted((read_source(file) for file in folder.rglob("*.md")), key=lambda source: source.path)


def plain_text(source: Source) -> str:
    """Title and body, one line a block or table cell: what an extraction must find again."""
    lines = [source.title]
    for block in source.blocks:
        lines += [cell for row in block.rows for cell in row] if isinstance(block, Table) else [block.text]
    return "\n".join(lines)


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _blocks(body: str) -> list[Block]:
    blocks: list[Block] = []
    rows: list[tuple[str, ...]] = []
    for line in [*body.splitlines(), ""]:
        if line.startswith("|"):
            rows.append(tuple(cell.strip() for cell in line.strip().strip("|").split("|")))
            continue
        if rows:
            blocks.append(Table(tuple(rows)))
            rows = []
        if line.strip():
            blocks.append(_block(line.strip()))
    return blocks


def _block(line: str) -> Block:
    if line.startswith("#"):
        marks, _, text = line.partition(" ")
        return Heading(len(marks), text)
    return ListItem(line[2:]) if line.startswith("- ") else Paragraph(line)
