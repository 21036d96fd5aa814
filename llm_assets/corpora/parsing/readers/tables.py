"""csv, tsv, xlsx and xls as rows of text.

Read with csv, openpyxl (streaming) and xlrd instead of unstructured, which fails on a ragged or a CP932 csv and
holds whole sheets in pandas and networkx: a 7 MB xls is known to take 10 GB there.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Literal

from llm_assets.corpora.parsing.encodings import decode
from llm_assets.corpora.parsing.readers import Document, Job
from llm_assets.corpora.parsing.results import Element, Refused
from llm_assets.corpora.parsing.text import one_line

if TYPE_CHECKING:
    from xlrd.sheet import Cell

MAX_FIELD = 2**31 - 1
DELIMITERS = ",;\t|"
Row = list[str]


def read_csv(data: bytes, _job: Job) -> Document:
    """One table. Rows may differ in length."""
    csv.field_size_limit(MAX_FIELD)  # for this process; the default refuses long cells
    text = decode(data)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    return Document(list(tables(rows)))


def _delimiter(text: str) -> str:
    """The delimiter that the first lines agree on most: by lines that have it, then by how often."""
    lines = [line for line in text[:20_000].split("\n")[:20] if line.strip()]
    return max(DELIMITERS, key=lambda mark: (sum(mark in line for line in lines), text[:20_000].count(mark)))


def read_xlsx(data: bytes, _job: Job) -> Document:
    """Per sheet its name as a heading, then its tables. A formula shows the value that was last computed."""
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    elements = []
    for sheet in book.worksheets:
        if hasattr(sheet, "reset_dimensions"):
            sheet.reset_dimensions()  # the declared size is often wrong; the rows that are there are right
        elements += _sheet(sheet.title, (map(_shown, row) for row in sheet.iter_rows(values_only=True)))
    return Document(elements, book.properties.title)


def read_xls(data: bytes, _job: Job) -> Document:
    """As `read_xlsx`, for the format before 2007."""
    import xlrd

    try:
        book = xlrd.open_workbook(file_contents=data, logfile=io.StringIO())
    except xlrd.biffh.XLRDError as error:
        encrypted = "encrypted" in str(error).lower()
        raise Refused("encrypted" if encrypted else "corrupt", f"the workbook cannot be opened: {error}") from error
    elements = []
    for sheet in book.sheets():
        elements += _sheet(
            sheet.name, ([_xls_value(cell, book.datemode) for cell in row] for row in sheet.get_rows())
        )
    return Document(elements)


def _sheet(name: str, rows: Iterable[Iterable[str]]) -> list[Element]:
    found = list(tables(rows))
    return [Element("title", name, level=1), *found] if found else []


def tables(rows: Iterable[Iterable[str]]) -> Iterator[Element]:
    """Rows as table elements; an empty row ends a table, and columns that are empty throughout are left out."""
    table: list[Row] = []
    for row in rows:
        cells = [one_line(cell) for cell in row]
        if any(cells):
            table.append(cells)
        elif table:
            yield _table(table)
            table = []
    if table:
        yield _table(table)


def _table(rows: list[Row]) -> Element:
    used = sorted({column for row in rows for column, cell in enumerate(row) if cell})
    lines = (" | ".join(row[column] for column in used if column < len(row)) for row in rows)
    return Element("table", "\n".join(line.rstrip(" |") for line in lines))


def _shown(value: object) -> str:
    """A cell's value as a person would write it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _xls_value(cell: Cell, datemode: Literal[0, 1]) -> str:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            return _shown(xlrd.xldate.xldate_as_datetime(float(cell.value), datemode))
        except (ValueError, OverflowError):
            return _shown(cell.value)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return str(bool(cell.value))
    return "" if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_ERROR) else _shown(cell.value)
