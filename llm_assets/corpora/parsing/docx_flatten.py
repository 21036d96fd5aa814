"""Makes all the text of a Word file reachable for python-docx, on which unstructured stands.

python-docx sees plain paragraphs only: it silently leaves out tracked insertions, content controls (the blanks of
contract templates), smart tags, text boxes, footnotes and formulas. Here the document is rewritten as if all
changes had been accepted, wrappers are unwrapped, and boxes and notes become paragraphs behind the one they
belong to.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from io import BytesIO

from llm_assets.corpora.parsing.xml import etree, parse_xml  # pyright: ignore[reportAttributeAccessIssue]  (no stubs)

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
DOCUMENT = "word/document.xml"
DELETED = (f"{W}del", f"{W}moveFrom", FALLBACK)  # a fallback repeats a text box for old versions of Word
WRAPPERS = (f"{M}oMathPara", f"{W}ins", f"{W}moveTo", f"{W}smartTag", f"{W}customXml", f"{W}sdtContent", f"{W}sdt")
LEFT_OUT = re.compile(
    rb"<(?:m:oMath|w:(?:ins|del|moveTo|moveFrom|smartTag|customXml|sdt|txbxContent|footnoteReference|endnoteReference))\b"
)
NOTES = {"footnoteReference": "word/footnotes.xml", "endnoteReference": "word/endnotes.xml"}


def flatten(data: bytes) -> bytes:
    """The same file with its hidden text in the open; unchanged bytes where there is none."""
    with zipfile.ZipFile(BytesIO(data)) as package:
        if DOCUMENT not in package.namelist() or not LEFT_OUT.search(content := package.read(DOCUMENT)):
            return data
        document = parse_xml(content)
        _place_notes(document, package)
        for node in list(document.iter(*DELETED)):
            _remove(node)
        for box in list(document.iter(f"{W}txbxContent")):
            _move_behind_paragraph(list(box), box)
        for wrapper in list(document.iter(*WRAPPERS)):
            _unwrap(wrapper)
        for formula in list(document.iter(f"{M}oMath")):
            _spell_out(formula)
        return _rewritten(package, etree.tostring(document, xml_declaration=True, encoding="UTF-8", standalone=True))


def _place_notes(document: etree._Element, package: zipfile.ZipFile) -> None:
    for reference, part in NOTES.items():
        if part in package.namelist():
            notes = {note.get(f"{W}id"): note for note in parse_xml(package.read(part))}
            for mark in list(document.iter(f"{W}{reference}")):
                note = notes.get(mark.get(f"{W}id"))
                if note is not None:
                    _move_behind_paragraph(list(note), mark)


def _move_behind_paragraph(blocks: list[etree._Element], anchor: etree._Element) -> None:
    paragraph = next(anchor.iterancestors(f"{W}p"), None)
    if paragraph is not None:
        for block in reversed(blocks):
            paragraph.addnext(block)


def _spell_out(formula: etree._Element) -> None:
    """Put a formula's characters in its place, as a run of text."""
    run = etree.Element(f"{W}r")
    etree.SubElement(run, f"{W}t").text = "".join(part.text or "" for part in formula.iter(f"{M}t"))
    formula.addprevious(run)
    _remove(formula)


def _unwrap(node: etree._Element) -> None:
    """Put a wrapper's children in its place; a content control's properties are no content."""
    parent = node.getparent()
    if parent is None:
        return
    for child in list(node):
        if child.tag not in (f"{W}sdtPr", f"{W}sdtEndPr", f"{W}smartTagPr", f"{W}customXmlPr"):
            node.addprevious(child)
    parent.remove(node)


def _remove(node: etree._Element) -> None:
    parent = node.getparent()
    if parent is not None:
        parent.remove(node)


def _rewritten(package: zipfile.ZipFile, document: bytes) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as copy:
        for name, content in _members(package):
            copy.writestr(name, document if name == DOCUMENT else content)
    return out.getvalue()


def _members(package: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    for name in dict.fromkeys(package.namelist()):
        yield name, package.read(name)
