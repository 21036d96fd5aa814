"""Office formats: docx and xlsx (slides have a module of their own)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

from ..source import Heading, ListItem, Paragraph, Source, Table
from .archive import without_clock

if TYPE_CHECKING:
    from docx.document import Document as Word
    from openpyxl.worksheet.worksheet import Worksheet

AUTHOR = "Ashdown Mori LLP"


def write_docx(source: Source) -> bytes:
    from docx import Document

    word = Document()
    word.core_properties.author = AUTHOR
    word.core_properties.title = source.title
    word.add_heading(source.title, 0)
    for block in source.blocks:
        match block:
            case Heading():
                word.add_heading(block.text, block.level - 1)
            case ListItem():
                word.add_paragraph(block.text, style="List Bullet")
            case Table():
                _docx_table(word, block)
            case Paragraph():
                word.add_paragraph(block.text)
    return saved(word)


def write_xlsx(source: Source) -> bytes:
    """One sheet a level-2 heading; a paragraph or list item takes one row, a table its rows."""
    from openpyxl import Workbook

    book = Workbook()
    book.properties.creator = AUTHOR
    book.properties.title = source.title
    sheet: Worksheet = book.active  # pyright: ignore[reportAssignmentType]  (a new book has a worksheet)
    sheet.title = source.fields["sheet"]
    sheet.append([source.title])
    for block in source.blocks:
        match block:
            case Heading():
                sheet = book.create_sheet(block.text)
            case Table():
                for row in block.rows:
                    sheet.append([_cell(text) for text in row])
            case Paragraph() | ListItem():
                sheet.append([block.text])
    for sheet in book.worksheets:
        for column in "ABCDE":
            sheet.column_dimensions[column].width = 32
    return saved(book)


def _docx_table(word: Word, table: Table) -> None:
    grid = word.add_table(rows=0, cols=len(table.rows[0]), style="Table Grid")
    for row in table.rows:
        for cell, text in zip(grid.add_row().cells, row, strict=True):
            cell.text = text


def _cell(text: str) -> str | int:
    """Whole numbers as numbers, so that the sheet can count with them."""
    return int(text) if text.isdecimal() and text.isascii() else text


class Saveable(Protocol):
    """What the three Office libraries' documents have in common."""

    def save(self, file: io.BytesIO, /) -> None: ...


def saved(file: Saveable) -> bytes:
    """The document's bytes, without a trace of when it was written."""
    out = io.BytesIO()
    file.save(out)
    return without_clock(out.getvalue())
