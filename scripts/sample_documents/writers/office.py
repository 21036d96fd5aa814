"""Office formats: docx, pptx, xlsx."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ..source import Heading, ListItem, Paragraph, Source, Table
from .archive import without_clock

if TYPE_CHECKING:
    from docx.document import Document as Word
    from openpyxl.worksheet.worksheet import Worksheet

_AUTHOR = "Ashdown Mori LLP"


def write_docx(source: Source) -> bytes:
    from docx import Document

    word = Document()
    word.core_properties.author = _AUTHOR
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
    return _saved(word)


def write_pptx(source: Source) -> bytes:
    """A title slide, then one slide a level-2 heading with its blocks as bullets; a table gets its own slide."""
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    deck.core_properties.author = _AUTHOR
    deck.core_properties.title = source.title
    first = deck.slides.add_slide(deck.slide_layouts[0])
    first.shapes.title.text = source.title
    first.placeholders[1].text = source.fields["subtitle"]
    frame = None
    heading = source.title
    for block in source.blocks:
        match block:
            case Heading():
                heading = block.text
                slide = deck.slides.add_slide(deck.slide_layouts[1])
                slide.shapes.title.text = heading
                frame = slide.placeholders[1].text_frame
            case Table():
                slide = deck.slides.add_slide(deck.slide_layouts[5])
                slide.shapes.title.text = f"{heading}: table"
                size = len(block.rows), len(block.rows[0])
                grid = slide.shapes.add_table(*size, Inches(0.5), Inches(1.8), Inches(9), Inches(0.4 * size[0])).table
                for row, cells in enumerate(block.rows):
                    for column, text in enumerate(cells):
                        grid.cell(row, column).text = text
            case Paragraph() | ListItem():
                assert frame is not None, f"{source.path}: text before the first heading"
                paragraph = frame.paragraphs[0] if not frame.text else frame.add_paragraph()
                paragraph.text = block.text
    return _saved(deck)


def write_xlsx(source: Source) -> bytes:
    """One sheet a level-2 heading; a paragraph or list item takes one row, a table its rows."""
    from openpyxl import Workbook

    book = Workbook()
    book.properties.creator = _AUTHOR
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
    return _saved(book)


def _docx_table(word: Word, table: Table) -> None:
    grid = word.add_table(rows=0, cols=len(table.rows[0]), style="Table Grid")
    for row in table.rows:
        for cell, text in zip(grid.add_row().cells, row, strict=True):
            cell.text = text


def _cell(text: str) -> str | int:
    """Whole numbers as numbers, so that the sheet can count with them."""
    return int(text) if text.isdecimal() and text.isascii() else text


def _saved(file) -> bytes:  # noqa: ANN001  (three libraries' documents, each with `save`)
    out = io.BytesIO()
    file.save(out)
    return without_clock(out.getvalue())
