"""Real documents in every format that is read, small, made here so that they can be reviewed.

Each holds the sentence ENGLISH and, where the format allows, JAPANESE; `SAMPLES` maps a file name to its maker.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from email.message import EmailMessage

from tests.corpora.parsing.ole import compound_file

ENGLISH = "The supplier shall deliver the goods within thirty days of the order."
JAPANESE = "本契約は、甲と乙との間の取引について必要な事項を定めることを目的とする。"
HEADING = "Article 1 Delivery"
HEADING_JA = "第1条（目的）"


def zipped(members: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def docx() -> bytes:
    from docx import Document

    document = Document()
    document.core_properties.title = "Supply Agreement"
    document.add_heading(HEADING, level=1)
    document.add_paragraph(ENGLISH)
    document.add_heading(HEADING_JA, level=2)
    document.add_paragraph(JAPANESE)
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ["品目", "Price", "紙", "100"], strict=True):
        cell.text = text
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def pptx() -> bytes:
    from pptx import Presentation

    deck = Presentation()
    for title, text in ((HEADING, ENGLISH), (HEADING_JA, JAPANESE)):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title  # pyright: ignore
        slide.placeholders[1].text = text  # pyright: ignore
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def xlsx() -> bytes:
    from datetime import date

    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet
    sheet.title = "価格表"
    for row in (["item", "price", "since"], ["紙", 100.0, date(2026, 4, 1)], [], [ENGLISH], [JAPANESE]):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def pdf(*pages: str) -> bytes:
    """A PDF of plain lines; Japanese through the predefined UniJIS-UTF16-H map, so that no font is needed."""
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    objects: list[bytes] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode(),
        b"<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiMin-W3 /Encoding /UniJIS-UTF16-H "
        b"/DescendantFonts [4 0 R] >>",
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiMin-W3 /DW 1000 /CIDSystemInfo "
        b"<< /Registry (Adobe) /Ordering (Japan1) /Supplement 2 >> /FontDescriptor << /Type /FontDescriptor "
        b"/FontName /HeiseiMin-W3 /Flags 4 /FontBBox [0 -200 1000 900] /ItalicAngle 0 /Ascent 900 /Descent -200 "
        b"/CapHeight 900 /StemV 80 >> >>",
    ]
    for number, text in enumerate(pages):
        shown = b"".join(_shown(line, index) for index, line in enumerate(text.split("\n")))
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 900 900] /Contents {6 + 2 * number} 0 R "
            "/Resources << /Font << /F 3 0 R >> >> >>".encode()
        )
        objects.append(f"<< /Length {len(shown)} >>\nstream\n".encode() + shown + b"\nendstream")
    return _numbered(objects)


def _shown(line: str, index: int) -> bytes:
    """A line of text; one that starts with "# " in large letters."""
    size = 20 if line.startswith("# ") else 10
    coded = line.removeprefix("# ").encode("utf-16-be").hex()
    return f"BT /F {size} Tf 40 {820 - 40 * index} Td <{coded}> Tj ET\n".encode()


def _numbered(objects: list[bytes]) -> bytes:
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    count = len(objects) + 1
    end = f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer << /Size {count} /Root 1 0 R >>\n"
    return bytes(out) + f"{end}startxref\n{len(out)}\n%%EOF".encode()


def html(encoding: str = "utf-8") -> bytes:
    return (
        f'<!DOCTYPE html><html><head><meta charset="{encoding}"><title>Terms</title><script>no()</script></head>'
        f"<body><h1>{HEADING}</h1><p>{ENGLISH}</p><h2>{HEADING_JA}</h2><p>{JAPANESE}</p><ul><li>first item</li></ul>"
        "<table><tr><th>品目</th><th>Price</th></tr><tr><td>紙</td><td>100</td></tr></table></body></html>"
    ).encode(encoding)


def epub() -> bytes:
    chapter = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>c</title></head><body>{}</body></html>'
    return zipped({
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OPS/book.opf"/></rootfiles></container>',
        "OPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        '<metadata><dc:title>The Handbook</dc:title></metadata><manifest><item id="b" href="two.xhtml"/>'
        '<item id="a" href="one.xhtml"/></manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
        "OPS/two.xhtml": chapter.format(f"<h2>{HEADING_JA}</h2><p>{JAPANESE}</p>"),
        "OPS/one.xhtml": chapter.format(f"<h1>{HEADING}</h1><p>{ENGLISH}</p>"),
    })  # fmt: skip


def odf(kind: str, body: str) -> bytes:
    spaces = {name: name for name in ("office", "text", "table", "presentation")} | {"draw": "drawing"}
    oasis = "urn:oasis:names:tc:opendocument:xmlns"
    names = " ".join(f'xmlns:{short}="{oasis}:{long}:1.0"' for short, long in spaces.items())
    return zipped({
        "mimetype": f"application/vnd.oasis.opendocument.{kind}",
        "content.xml": f"<office:document-content {names}><office:body><office:{kind}>{body}</office:{kind}>"
        "</office:body></office:document-content>",
    })  # fmt: skip


def odt() -> bytes:
    return odf("text", f'<text:h text:outline-level="1">{HEADING}</text:h><text:p>{ENGLISH}</text:p>'
               f'<text:h text:outline-level="2">{HEADING_JA}</text:h><text:p>{JAPANESE}</text:p>')  # fmt: skip


def ods() -> bytes:
    def row(*texts: str) -> str:
        cells = "".join(f"<table:table-cell><text:p>{text}</text:p></table:table-cell>" for text in texts)
        return f"<table:table-row>{cells}</table:table-row>"

    rows = row("品目", "Price") + row("紙", "100") + row(ENGLISH) + row(JAPANESE)
    empty = '<table:table-row table:number-rows-repeated="1048576"><table:table-cell/></table:table-row>'
    return odf("spreadsheet", f'<table:table table:name="価格表">{rows}{empty}</table:table>')


def odp() -> bytes:
    def box(text: str, role: str = "") -> str:
        return f"<draw:frame{role}><draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame>"

    def slide(title: str, text: str) -> str:
        return "<draw:page>" + box(title, ' presentation:class="title"') + box(text) + "</draw:page>"

    return odf("presentation", slide(HEADING, ENGLISH) + slide(HEADING_JA, JAPANESE))


def eml() -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "契約の件", "田中 <tanaka@example.com>", "b@example.com"
    message.set_content(f"{ENGLISH}\n\n{JAPANESE}")
    message.add_attachment(docx(), maintype="application", subtype="octet-stream", filename="契約書.docx")
    return message.as_bytes()


def msg() -> bytes:
    def text(tag: str, value: str) -> tuple[str, bytes]:
        return f"__substg1.0_{tag}001F", value.encode("utf-16-le")

    properties = {"0037": HEADING_JA, "0C1A": "Tanaka", "1000": f"{ENGLISH}\r\n\r\n{JAPANESE}", "001A": "IPM.Note"}
    streams = dict(text(tag, value) for tag, value in properties.items())
    records = b"".join(
        struct.pack("<HHIQ", 0x001F, int(tag, 16), 6, 2 * len(value) + 2) for tag, value in properties.items()
    )
    streams["__properties_version1.0"] = bytes(32) + records
    return compound_file(streams)


def xls() -> bytes:
    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    def label(row: int, column: int, text: str) -> bytes:
        return record(0x0204, struct.pack("<HHHHB", row, column, 0, len(text), 1) + text.encode("utf-16-le"))

    bof = struct.pack("<HHHII", 0x0600, 0x0005, 0, 0, 0)
    name = "価格表"
    first = record(0x0809, bof)
    length = len(first) + 4 + 8 + 2 * len(name) + 4
    bounds = record(0x0085, struct.pack("<IBBBB", length, 0, 0, len(name), 1) + name.encode("utf-16-le"))
    cells = label(0, 0, "品目") + label(0, 1, "Price") + label(2, 0, ENGLISH) + label(3, 0, JAPANESE)
    number = record(0x0203, struct.pack("<HHHd", 1, 1, 0, 100.0))
    sheet = record(0x0809, struct.pack("<HHHII", 0x0600, 0x0010, 0, 0, 0)) + cells + number + record(0x000A, b"")
    return compound_file({"Workbook": first + bounds + record(0x000A, b"") + sheet})


def rtf() -> bytes:
    coded = "".join(f"\\u{ord(char)}?" for char in JAPANESE)
    return f"{{\\rtf1\\ansi {{\\b {HEADING}}}\\par {ENGLISH}\\par {coded}\\par}}".encode("ascii")


def notebook() -> bytes:
    cells = [{"cell_type": "markdown", "source": [f"# {HEADING}\n", "\n", ENGLISH, "\n\n", JAPANESE]},
             {"cell_type": "code", "source": "print(1)", "outputs": []}]  # fmt: skip
    return json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}).encode()


MARKDOWN = (
    f"# {HEADING}\n\n{ENGLISH}\n\n## {HEADING_JA}\n\n{JAPANESE}\n\n"
    "- first item\n\n| 品目 | Price |\n|---|---|\n| 紙 | 100 |\n"
)
CSV = f"item,note\n紙,{ENGLISH}\n木,{JAPANESE}\n"
VTT = f"WEBVTT\n\n1\n00:00.000 --> 00:02.000\n<v Roger>{ENGLISH}\n\n2\n00:02.000 --> 00:04.000\n{JAPANESE}\n"

SAMPLES: dict[str, Callable[[], bytes]] = {
    "a.txt": lambda: f"{ENGLISH}\n\n{JAPANESE}\n".encode(),
    "a.md": MARKDOWN.encode,
    "a.csv": CSV.encode,
    "a.tsv": CSV.replace(",", "\t").encode,
    "a.json": lambda: json.dumps({"en": ENGLISH, "ja": {"text": [JAPANESE]}}).encode(),
    "a.jsonl": lambda: "\n".join(json.dumps({"t": text}) for text in (ENGLISH, JAPANESE)).encode(),
    "a.ipynb": notebook,
    "a.xml": lambda: f"<a><b>{ENGLISH}</b><c>{JAPANESE}</c></a>".encode(),
    "a.vtt": VTT.encode,
    "a.srt": lambda: VTT.removeprefix("WEBVTT\n\n").encode(),
    "a.adoc": lambda: f"= {HEADING}\n\n{ENGLISH}\n\n== {HEADING_JA}\n\n{JAPANESE}\n".encode(),
    "a.rst": lambda: f"{HEADING}\n{'=' * 40}\n\n{ENGLISH}\n\n{JAPANESE}\n".encode(),
    "a.org": lambda: f"* {HEADING}\n{ENGLISH}\n\n{JAPANESE}\n".encode(),
    "a.html": html,
    "a.epub": epub,
    "a.eml": eml,
    "a.msg": msg,
    "a.docx": docx,
    "a.pptx": pptx,
    "a.xlsx": xlsx,
    "a.xls": xls,
    "a.odt": odt,
    "a.ods": ods,
    "a.odp": odp,
    "a.rtf": rtf,
    "a.pdf": lambda: pdf(f"# {HEADING}\n{ENGLISH}", f"# {HEADING_JA}\n{JAPANESE}"),
}
