"""Formats that are a zip of XML: odt, epub."""

from __future__ import annotations

from html import escape

from ..source import Block, Heading, ListItem, Paragraph, Source, Table
from .archive import STAMP, write_archive
from .text import html_body

_ODF = "urn:oasis:names:tc:opendocument:xmlns"
_ODF_NAMES = (
    f'xmlns:office="{_ODF}:office:1.0" xmlns:text="{_ODF}:text:1.0" xmlns:table="{_ODF}:table:1.0" '
    f'xmlns:meta="{_ODF}:meta:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/"'
)
_ODT_TYPE = "application/vnd.oasis.opendocument.text"


def write_odt(source: Source) -> bytes:
    body = f'<text:h text:outline-level="1">{escape(source.title)}</text:h>'
    body += "".join(_odt(block) for block in source.blocks)
    members = {
        "mimetype": _ODT_TYPE,
        "META-INF/manifest.xml": _odt_manifest(),
        "meta.xml": _odf("meta", f"<dc:title>{escape(source.title)}</dc:title><dc:date>{STAMP}</dc:date>", "meta"),
        "styles.xml": f'<?xml version="1.0" encoding="UTF-8"?><office:document-styles {_ODF_NAMES} '
        'office:version="1.3"><office:styles/></office:document-styles>',
        "content.xml": _odf("content", f"<office:text>{body}</office:text>", "body"),
    }
    return write_archive({name: text.encode() for name, text in members.items()}, stored=frozenset({"mimetype"}))


def write_epub(source: Source) -> bytes:
    """A book with one chapter a level-2 heading, as a reading application expects it."""
    chapters = _chapters(source)
    names = [f"chapter{number}.xhtml" for number in range(1, len(chapters) + 1)]
    pages = {f"OEBPS/{name}": _page(source, blocks) for name, blocks in zip(names, chapters, strict=True)}
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": _CONTAINER,
        "OEBPS/content.opf": _package(source, names),
        "OEBPS/nav.xhtml": _navigation(source, chapters, names),
        **pages,
    }
    return write_archive({name: text.encode() for name, text in members.items()}, stored=frozenset({"mimetype"}))


def _odf(part: str, inner: str, element: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-{part} {_ODF_NAMES} office:version="1.3">'
        f"<office:{element}>{inner}</office:{element}></office:document-{part}>"
    )


def _odt_manifest() -> str:
    entries = [("/", _ODT_TYPE), *((name, "text/xml") for name in ("content.xml", "styles.xml", "meta.xml"))]
    rows = "".join(
        f'<manifest:file-entry manifest:full-path="{name}" manifest:media-type="{kind}"/>' for name, kind in entries
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<manifest:manifest xmlns:manifest="{_ODF}:manifest:1.0" manifest:version="1.3">{rows}</manifest:manifest>'
    )


def _odt(block: Block) -> str:
    match block:
        case Heading():
            return f'<text:h text:outline-level="{block.level}">{escape(block.text)}</text:h>'
        case ListItem():
            return f"<text:list><text:list-item><text:p>{escape(block.text)}</text:p></text:list-item></text:list>"
        case Table():
            rows = "".join(_odt_row(row) for row in block.rows)
            columns = len(block.rows[0])
            return f'<table:table><table:table-column table:number-columns-repeated="{columns}"/>{rows}</table:table>'
        case Paragraph():
            return f"<text:p>{escape(block.text)}</text:p>"


def _odt_row(row: tuple[str, ...]) -> str:
    cells = "".join(f"<table:table-cell><text:p>{escape(text)}</text:p></table:table-cell>" for text in row)
    return f"<table:table-row>{cells}</table:table-row>"


def _chapters(source: Source) -> list[tuple[Block, ...]]:
    chapters: list[list[Block]] = [[Heading(1, source.title)]]
    for block in source.blocks:
        if isinstance(block, Heading) and block.level == 2:
            chapters.append([])
        chapters[-1].append(block)
    return [tuple(blocks) for blocks in chapters]


_CONTAINER = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/>'
    "</rootfiles></container>"
)


def _page(source: Source, blocks: tuple[Block, ...]) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n'
        f'<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="{source.language}">\n'
        f"<head><title>{escape(source.title)}</title></head>\n<body>\n{html_body(blocks)}\n</body>\n</html>\n"
    )


def _package(source: Source, names: list[str]) -> str:
    items = "".join(
        f'<item id="c{number}" href="{name}" media-type="application/xhtml+xml"/>'
        for number, name in enumerate(names, 1)
    )
    spine = "".join(f'<itemref idref="c{number}"/>' for number in range(1, len(names) + 1))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">urn:example:{escape(source.path)}</dc:identifier>'
        f"<dc:title>{escape(source.title)}</dc:title><dc:language>{source.language}</dc:language>"
        f'<meta property="dcterms:modified">{STAMP}</meta></metadata>'
        '<manifest><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        f"{items}</manifest><spine>{spine}</spine></package>"
    )


def _navigation(source: Source, chapters: list[tuple[Block, ...]], names: list[str]) -> str:
    links = "".join(
        f'<li><a href="{name}">{escape(blocks[0].text)}</a></li>'
        for blocks, name in zip(chapters, names, strict=True)
        if isinstance(blocks[0], Heading)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" '
        f'xmlns:epub="http://www.idpf.org/2007/ops" xml:lang="{source.language}"><head><title>Contents</title></head>'
        f'<body><nav epub:type="toc"><ol>{links}</ol></nav></body></html>'
    )
