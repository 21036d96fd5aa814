"""Guards against text that Word shows and the parse lacks: changes, blanks, boxes and notes of contracts."""

from __future__ import annotations

import io
import zipfile

import pytest
from docx import Document
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from llm_assets.corpora.parsing import Parsed, ParseOptions, parse
from llm_assets.corpora.parsing.docx_flatten import flatten
from tests.corpora.parsing import samples

W = nsdecls("w")


def word_file(*blocks: str, parts: dict[str, str] | None = None) -> bytes:
    """A Word file with raw WordprocessingML blocks behind a plain paragraph."""
    document = Document()
    document.add_paragraph("First.")
    body = document.element.body
    for block in blocks:
        body.insert(len(body) - 1, parse_xml(block))
    out = io.BytesIO()
    document.save(out)
    with zipfile.ZipFile(out, "a") as package:
        for name, content in (parts or {}).items():
            package.writestr(name, content)
    return out.getvalue()


def texts(data: bytes) -> list[str]:
    result = parse("a.docx", data, ParseOptions())
    assert isinstance(result, Parsed)
    return [element.text for element in result.elements]


def run(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def test_tracked_changes_read_as_accepted() -> None:
    deleted = '<w:del w:id="2" w:author="a"><w:r><w:delText>eighty</w:delText></w:r></w:del>'
    inserted = f'<w:ins w:id="1" w:author="a">{run("ninety")}</w:ins>'
    data = word_file(f"<w:p {W}>{run('The fee is ')}{deleted}{inserted}{run(' euros.')}</w:p>")
    assert texts(data) == ["First.", "The fee is ninety euros."]


@pytest.mark.parametrize(
    "block",
    [
        f"<w:sdt {W}><w:sdtPr/><w:sdtContent><w:p>{run('Party A')}</w:p></w:sdtContent></w:sdt>",
        f"<w:p {W}>{run('Party ')}<w:sdt><w:sdtContent>{run('A')}</w:sdtContent></w:sdt></w:p>",
        f"<w:p {W}><w:smartTag>{run('Party ')}<w:smartTag>{run('A')}</w:smartTag></w:smartTag></w:p>",
    ],
)
def test_content_controls_and_tags_are_text(block: str) -> None:
    assert texts(word_file(block)) == ["First.", "Party A"]


def test_a_text_box_is_read_once_behind_its_paragraph() -> None:
    spaces = (
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:v="urn:schemas-microsoft-com:vml" '
        'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
    )
    box = f"<w:txbxContent><w:p>{run('In a box')}</w:p></w:txbxContent>"
    shape = (
        f'<mc:AlternateContent><mc:Choice Requires="wps"><w:r><wps:txbx>{box}</wps:txbx></w:r></mc:Choice>'
        f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent>"
    )
    data = word_file(f"<w:p {W} {spaces}>{run('Before')}<w:r>{shape}</w:r></w:p>", f"<w:p {W}>{run('After')}</w:p>")
    assert texts(data) == ["First.", "Before", "In a box", "After"]


def test_a_footnote_is_read_behind_the_paragraph_that_refers_to_it() -> None:
    notes = (
        f'<w:footnotes {W}><w:footnote w:id="7"><w:p>{run("As amended in 2026.")}</w:p></w:footnote></w:footnotes>'
    )
    referring = f'<w:p {W}>{run("The Act")}<w:r><w:footnoteReference w:id="7"/></w:r></w:p>'
    data = word_file(referring, f"<w:p {W}>{run('After')}</w:p>", parts={"word/footnotes.xml": notes})
    assert texts(data) == ["First.", "The Act", "As amended in 2026.", "After"]


def test_a_formula_is_text() -> None:
    spaces = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    formula = "<m:oMathPara><m:oMath><m:r><m:t>E=m</m:t></m:r><m:r><m:t>c</m:t></m:r></m:oMath></m:oMathPara>"
    assert texts(word_file(f"<w:p {W} {spaces}>{run('Energy: ')}{formula}</w:p>"))[1] == "Energy: E=mc"


def test_a_plain_file_is_not_rewritten() -> None:
    data = samples.docx()
    assert flatten(data) is data
