"""Formats that are text: md, txt, html, rst, csv."""

from __future__ import annotations

import csv
import io
from html import escape

from ..source import Block, Heading, ListItem, Paragraph, Source, Table


def write_md(source: Source) -> bytes:
    parts = [f"# {source.title}"]
    parts += [_markdown(block) for block in source.blocks]
    return _joined(source.blocks, parts).encode()


def write_txt(source: Source) -> bytes:
    """Plain text in the source's `encoding`; Windows line ends, as files from an office have them."""
    parts = [source.title] + [_plain(block) for block in source.blocks]
    text = _joined(source.blocks, parts)
    return text.replace("\n", "\r\n").encode(source.fields.get("encoding", "utf-8"))


def write_rst(source: Source) -> bytes:
    parts = [f"{source.title}\n{'=' * len(source.title)}"]
    parts += [_restructured(block) for block in source.blocks]
    return _joined(source.blocks, parts).encode()


def write_csv(source: Source) -> bytes:
    """The source's tables, one under the other."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for block in source.blocks:
        if isinstance(block, Table):
            writer.writerows(block.rows)
    return out.getvalue().encode(source.fields.get("encoding", "utf-8"))


def write_html(source: Source) -> bytes:
    return (
        f'<!DOCTYPE html>\n<html lang="{source.language}">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(source.title)}</title>\n</head>\n<body>\n<main>\n<h1>{escape(source.title)}</h1>\n"
        f"{html_body(source.blocks)}\n</main>\n</body>\n</html>\n"
    ).encode()


def html_body(blocks: tuple[Block, ...]) -> str:
    """The blocks as XHTML fragments, list items grouped under `ul`."""
    lines: list[str] = []
    for before, block in zip((None, *blocks), blocks, strict=False):
        if isinstance(block, ListItem) != isinstance(before, ListItem):
            lines.append("<ul>" if isinstance(block, ListItem) else "</ul>" if before else "")
        lines.append(_html(block))
    if blocks and isinstance(blocks[-1], ListItem):
        lines.append("</ul>")
    return "\n".join(line for line in lines if line)


def _joined(blocks: tuple[Block, ...], parts: list[str]) -> str:
    """Blank lines between the parts, but not between the items of one list."""
    text = parts[0]
    for before, block, part in zip((None, *blocks), blocks, parts[1:], strict=False):
        tight = isinstance(block, ListItem) and isinstance(before, ListItem)
        text += ("\n" if tight else "\n\n") + part
    return text + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {block.text}"
        case ListItem():
            return f"- {block.text}"
        case Table():
            head, *rows = block.rows
            return "\n".join(f"| {' | '.join(row)} |" for row in [head, ("---",) * len(head), *rows])
        case Paragraph():
            return block.text


def _plain(block: Block) -> str:
    match block:
        case ListItem():
            return f"- {block.text}"
        case Table():
            return "\n".join("\t".join(row) for row in block.rows)
        case Heading() | Paragraph():
            return block.text


def _restructured(block: Block) -> str:
    match block:
        case Heading():
            return f"{block.text}\n{('-' if block.level == 2 else '~') * len(block.text)}"
        case Table():
            rows = [
                f"   {'* -' if not cell else '  -'} {text}" for row in block.rows for cell, text in enumerate(row)
            ]
            return "\n".join([".. list-table::", "   :header-rows: 1", "", *rows])
        case _:
            return _plain(block)


def _html(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
        case ListItem():
            return f"<li>{escape(block.text)}</li>"
        case Table():
            return _html_table(block)
        case Paragraph():
            return f"<p>{escape(block.text)}</p>"


def _html_table(table: Table) -> str:
    head, *rows = table.rows
    lines = ["<table>", _html_row(head, "th"), *(_html_row(row, "td") for row in rows), "</table>"]
    return "\n".join(lines)


def _html_row(cells: tuple[str, ...], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
