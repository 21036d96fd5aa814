"""Guards against text that markup hides from a reader: captions, comments, mislabelled charsets, broken mail."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from llm_assets.corpora.parsing import Element, Parsed, ParseOptions, parse
from tests.corpora.parsing.samples import ENGLISH, JAPANESE, html, zipped


def parsed(name: str, data: bytes, **options) -> Parsed:
    result = parse(name, data, ParseOptions(**options))
    assert isinstance(result, Parsed), result
    return result


def texts(name: str, data: bytes) -> list[str]:
    return [element.text for element in parsed(name, data).elements]


@pytest.mark.parametrize("encoding", ["utf-8", "shift_jis", "euc_jp", "iso2022_jp", "utf-16"])
def test_a_page_is_read_in_the_encoding_it_declares(encoding: str) -> None:
    assert JAPANESE in texts("a.html", html(encoding))


def test_a_page_that_declares_the_wrong_encoding_is_read_right() -> None:
    wrong = html("utf-8").replace(b"utf-8", b"ascii")
    assert JAPANESE in texts("a.html", wrong)


def test_a_tables_caption_is_kept() -> None:
    page = b"<html><body><table><caption>Prices <b>2026</b></caption><tr><td>paper</td></tr></table></body></html>"
    assert texts("a.html", page) == ["Prices 2026", "paper"]


def test_scripts_and_comments_are_no_text() -> None:
    page = f"<html><body><script>x()</script><!-- no --><style>p{{}}</style><p>{ENGLISH}</p></body></html>"
    assert texts("a.html", page.encode()) == [ENGLISH]


def test_html_within_markdown_keeps_its_text_only() -> None:
    assert texts("a.md", b"Before\n\n<!-- no -->\n<div>\n  <p>inside</p>\n</div>\n\nafter") == [
        "Before",
        "inside",
        "after",
    ]


def test_a_front_matter_names_the_document_and_is_no_text() -> None:
    result = parsed("a.md", b"---\ntitle: 'Terms of use'\ntags: [x]\n---\nBody")
    assert (result.title, result.elements) == ("Terms of use", [Element("text", "Body")])


def test_a_mail_whose_charset_is_misnamed_is_read() -> None:
    body = JAPANESE.encode("cp932")
    mail = b"Subject: x\r\nFrom: a@b.c\r\nContent-Type: text/plain; charset=no-such-charset\r\n\r\n" + body
    assert JAPANESE in texts("a.eml", mail)


def test_a_mail_keeps_its_body_when_an_attachment_is_broken() -> None:
    mail = EmailMessage()
    mail["Subject"] = "Two files"
    mail.set_content(ENGLISH)
    mail.add_attachment(b"PK\x03\x04broken", maintype="application", subtype="zip", filename="a.docx")
    mail.add_attachment(b"\x89PNG\r\n\x1a\n", maintype="image", subtype="png", filename="b.png")
    found = texts("a.eml", mail.as_bytes())
    assert ENGLISH in found
    assert "Attachment: a.docx" in found
    assert "Attachment: b.png" in found


def test_a_bomb_in_a_mail_is_not_unpacked() -> None:
    mail = EmailMessage()
    mail.set_content(ENGLISH)
    bomb = zipped({"word/document.xml": b" " * 50_000_000})
    mail.add_attachment(bomb, maintype="application", subtype="zip", filename="a.docx")
    assert any("zip bomb" in text for text in texts("a.eml", mail.as_bytes()))


def test_lines_broken_at_a_fixed_width_run_on() -> None:
    english = "The supplier shall deliver the goods to the buyer within thirty", "days, unless agreed otherwise."
    japanese = "本契約は、甲と乙との間の取引について必要な事項を定めるこ", "とを目的とする。"
    address = "The terms are published by the supplier at https://example.com/", "terms for every buyer."
    data = "\n\n".join("\n".join(lines) for lines in (english, japanese, address)).encode()
    assert texts("a.txt", data) == [" ".join(english), "".join(japanese), "".join(address)]


@pytest.mark.parametrize(
    "block",
    [
        "12 Main Street\nSpringfield",
        "Item      Price of the item in euros including taxes\nPaper     one hundred and twenty-three euros and more",
        "| Item  | Price of the item in euros with taxes |\n| Paper | one hundred and twenty euros and more |",
        "- the first point of this list is as long as the next\n- the second point of this list is as long as it",
    ],
)
def test_addresses_columns_and_lists_keep_their_lines(block: str) -> None:
    assert texts("a.txt", block.encode()) == [block]


def test_headings_of_an_attachment_stand_below_its_name() -> None:
    mail = EmailMessage()
    mail["Subject"] = "Terms"
    mail.set_content(ENGLISH)
    mail.add_attachment("# Top\n\n## Sub\n\ntext", filename="a.md")
    levels = {e.text: e.level for e in parsed("a.eml", mail.as_bytes()).elements if e.kind == "title"}
    assert levels == {"Terms": 1, "Attachment: a.md": 2, "Top": 3, "Sub": 4}


def test_a_beir_record_is_title_and_text() -> None:
    line = '{"_id": "d1", "title": "題", "text": "本文です。\\n\\n二段落目。"}'.encode()
    result = parsed("x/corpus.jsonl#d1", line)
    assert [(element.kind, element.text) for element in result.elements] == [
        ("title", "題"),
        ("text", "本文です。"),
        ("text", "二段落目。"),
    ]


def test_pdfs_can_be_read_with_unstructured_too() -> None:
    from tests.corpora.parsing.samples import pdf

    result = parsed("a.pdf", pdf(ENGLISH, JAPANESE), strategy="fast")
    assert [(element.text, element.page) for element in result.elements] == [(ENGLISH, 1), (JAPANESE, 2)]
