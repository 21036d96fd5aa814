"""Chunks become examples: the folder of a document is what the sample model learns to name."""

from __future__ import annotations

from typing import Any

import pytest

from llm_assets.models.corpus_examples import corpus_examples, folder_of
from llm_assets.models.examples import ExamplesError
from llm_assets.models.settings import CorpusExamplesSettings


def chunk(uri: str, ordinal: int, text: str, **more: Any) -> dict[str, Any]:
    row = {"chunk_id": f"{uri}{ordinal}", "doc_id": f"id of {uri}", "uri": uri, "ordinal": ordinal, "text": text}
    return row | {"title": None, "headings": ["A", "B"], "language": "en"} | more


def settings(**changes: Any) -> CorpusExamplesSettings:
    return CorpusExamplesSettings.model_validate({"corpus": "legal", "min_chars": 0} | changes)


def test_templates_are_filled_in_document_order() -> None:
    chunks = [
        chunk("docs/terms/b.md", 0, "three"),
        chunk("docs/notices/a.md", 1, "two"),
        chunk("docs/notices/a.md", 0, "one"),
    ]
    made = corpus_examples(settings(prompt="{headings}: {text}", completion=" {folder}"), chunks, "docs")
    assert [(e.prompt, e.completion) for e in made] == [
        ("A / B: one", " notices"),
        ("A / B: two", " notices"),
        ("A / B: three", " terms"),
    ]
    assert made[0].origin == "docs/notices/a.md"
    assert made[0].doc_id == "id of docs/notices/a.md"


def test_of_a_long_document_the_first_chunks_can_be_taken_alone() -> None:
    chunks = [chunk(f"docs/t/{name}.md", n, f"{name}{n}") for name in "ab" for n in (2, 0, 1)]
    made = corpus_examples(settings(per_document=2), chunks, "docs")
    assert [e.completion for e in made] == ["a0", "a1", "b0", "b1"]


def test_braces_in_a_document_are_text() -> None:
    (example,) = corpus_examples(settings(), [chunk("docs/a.md", 0, "{title} {unknown}")], "docs")
    assert example.completion == "{title} {unknown}"


def test_chunks_without_an_answer_or_too_short_are_left_out() -> None:
    chunks = [chunk("docs/top.md", 0, "at the top there is no folder"), chunk("docs/t/a.md", 0, "short")]
    with pytest.raises(ExamplesError, match="none of its 2 chunks"):
        corpus_examples(settings(completion="{folder}", min_chars=10), chunks, "docs")


@pytest.mark.parametrize(("template", "said"), [("{txt}", "unknown field {txt}"), ("{text", "expected '}'")])
def test_a_wrong_template_is_refused_with_what_is_permitted(template: str, said: str) -> None:
    with pytest.raises(ExamplesError, match=said):
        corpus_examples(settings(prompt=template), [chunk("docs/a.md", 0, "x")], "docs")


@pytest.mark.parametrize(
    ("uri", "source", "folder"),
    [
        ("documents/terms/a.md", "documents", "terms"),
        ("s3://bucket/docs/terms/deep/a.md", "s3://bucket/docs", "terms"),
        ("documents/a.md", "documents", ""),
        ("beir/corpus.jsonl#x/y", "beir", ""),
    ],
)
def test_the_folder_is_the_first_one_below_the_source(uri: str, source: str, folder: str) -> None:
    assert folder_of(uri, source) == folder
