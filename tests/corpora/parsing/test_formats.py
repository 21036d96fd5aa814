"""Guards against a format that parses on the developer's machine only: unstructured downloads a model at first use.

Every format is parsed in one fresh process that refuses every connection and has an empty home.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llm_assets.corpora.parsing import Element, Parsed
from llm_assets.corpora.parsing.results import from_json
from tests.corpora.parsing.samples import ENGLISH, HEADING, HEADING_JA, JAPANESE, SAMPLES

OFFLINE = """
import json, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request"):
        raise RuntimeError(f"tried to reach the network: {arguments}")

sys.addaudithook(refuse)
from llm_assets.corpora.parsing import ParseOptions, parse
from llm_assets.corpora.parsing.results import to_json
from tests.corpora.parsing.samples import SAMPLES

for name, made in SAMPLES.items():
    print(json.dumps([name, to_json(parse(name, made(), ParseOptions()))]))
print(json.dumps(["modules", sorted(sys.modules)]))
"""
STRUCTURED = ["a.md", "a.adoc", "a.html", "a.epub", "a.docx", "a.pptx", "a.odt", "a.odp", "a.pdf"]
NESTED_HEADINGS = ["a.md", "a.adoc", "a.html", "a.epub", "a.docx", "a.odt"]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a fresh process without a network prints, by file name."""
    home = str(tmp_path_factory.mktemp("home"))
    environment = {"HOME": home, "TMPDIR": home, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))


@pytest.fixture(scope="module")
def offline(answers: dict) -> dict[str, Parsed]:
    results = {name: from_json(answers[name]) for name in SAMPLES}
    return {name: result for name, result in results.items() if isinstance(result, Parsed)}


def of_kind(result: Parsed, kind: str) -> list[Element]:
    return [element for element in result.elements if element.kind == kind]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_parses_completely_without_a_network(
    answers: dict, offline: dict[str, Parsed], name: str
) -> None:
    assert name in offline, answers[name]
    text = "\n".join(element.text for element in offline[name].elements)
    assert ENGLISH in text
    assert JAPANESE in text


def test_neither_spacy_nor_torch_is_imported(answers: dict) -> None:
    assert not {"spacy", "torch", "transformers"} & set(answers["modules"])


@pytest.mark.parametrize("name", STRUCTURED)
def test_headings_come_from_the_format_and_japanese_paragraphs_are_none(
    offline: dict[str, Parsed], name: str
) -> None:
    titles = [element.text for element in of_kind(offline[name], "title")]
    assert titles == [HEADING, HEADING_JA]


@pytest.mark.parametrize("name", NESTED_HEADINGS)
def test_headings_keep_their_level(offline: dict[str, Parsed], name: str) -> None:
    assert [element.level for element in of_kind(offline[name], "title")] == [1, 2]


@pytest.mark.parametrize("name", ["a.pdf", "a.pptx", "a.odp"])
def test_pages_are_kept_where_the_format_has_them(offline: dict[str, Parsed], name: str) -> None:
    assert [element.page for element in offline[name].elements] == [1, 1, 2, 2]


@pytest.mark.parametrize("name", ["a.md", "a.html", "a.docx", "a.xlsx", "a.xls", "a.ods", "a.csv"])
def test_a_table_is_lines_of_cells(offline: dict[str, Parsed], name: str) -> None:
    tables = [element.text for element in of_kind(offline[name], "table")]
    assert " | " in tables[0].split("\n")[0]
    assert "\n" in tables[0]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("a.docx", "Supply Agreement"),
        ("a.epub", "The Handbook"),
        ("a.html", "Terms"),
        ("a.eml", "契約の件"),
        ("a.md", HEADING),
    ],
)
def test_the_title_is_the_formats_own_else_the_first_heading(
    offline: dict[str, Parsed], name: str, title: str
) -> None:
    assert offline[name].title == title


def test_an_attachment_is_read_behind_its_mail(offline: dict[str, Parsed]) -> None:
    texts = [element.text for element in offline["a.eml"].elements]
    assert "Attachment: 契約書.docx" in texts
    assert texts.index("Attachment: 契約書.docx") < texts.index(HEADING_JA)


def test_cells_of_a_workbook_read_as_people_write_them(offline: dict[str, Parsed]) -> None:
    table = offline["a.xlsx"].elements[1].text
    assert table == "item | price | since\n紙 | 100 | 2026-04-01"
