"""unstructured's elements as ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from llm_assets.corpora.parsing.results import Element, Kind
from llm_assets.corpora.parsing.text import one_line

if TYPE_CHECKING:
    from lxml.html import HtmlElement
    from unstructured.documents.elements import Element as UnstructuredElement

KINDS: dict[str, Kind] = {"Title": "title", "ListItem": "list_item", "Table": "table", "CodeSnippet": "code"}
SILENT = frozenset({"PageBreak", "PageNumber"})


def convert(elements: Iterable[UnstructuredElement], *, pages: bool = False) -> list[Element]:
    """Elements with text. Args: pages: keep page numbers (formats whose pages are real)."""
    found = []
    for element in elements:
        if element.category not in SILENT and element.text:
            kind = KINDS.get(element.category, "text")
            level = (element.metadata.category_depth or 0) + 1 if kind == "title" else None
            page = element.metadata.page_number if pages else None
            found.append(Element(kind, _text(kind, element), page, level))
    return found


def _text(kind: Kind, element: UnstructuredElement) -> str:
    markup = element.metadata.text_as_html if kind == "table" else None
    return table_text(markup) if markup else element.text


def table_text(markup: str) -> str:
    """An HTML table as lines of cells; the rows of a table within a cell stay in that cell."""
    from lxml import html

    table = html.fromstring(f"<div>{markup}</div>")
    rows = (" | ".join(_cells(row)) for row in table.iter("tr") if _depth(row) == 1)
    return "\n".join(row for row in rows if row.strip(" |"))


def _cells(row: HtmlElement) -> Iterator[str]:
    for cell in row:
        if cell.tag in ("td", "th"):
            yield one_line(" ".join(cell.itertext()))


def _depth(row: HtmlElement) -> int:
    return sum(1 for _ in row.iterancestors("table"))
