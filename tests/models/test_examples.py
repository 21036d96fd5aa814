"""A training set that is read wrongly trains wrongly, and nobody notices: every bad line must be named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_assets.models.examples import ExamplesError, read_examples

TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_json_lines_with_prompt_and_completion(tmp_path: Path) -> None:
    file = write(
        tmp_path, "e.jsonl", '{"prompt": "a", "completion": "b"}\n\n{"prompt": "質問", "completion": "答え"}\n'
    )
    assert [(e.prompt, e.completion) for e in read_examples(file)] == [("a", "b"), ("質問", "答え")]


@pytest.mark.parametrize(("name", "sign"), [("e.csv", ","), ("e.tsv", "\t")])
def test_tables_with_quoted_line_breaks_and_a_byte_order_mark(tmp_path: Path, name: str, sign: str) -> None:
    file = write(tmp_path, name, f'\ufeffprompt{sign}completion\n"two\nlines"{sign}b\n')
    assert [(e.prompt, e.completion) for e in read_examples(file)] == [("two\nlines", "b")]


def test_messages_keep_their_turns(tmp_path: Path) -> None:
    (example,) = read_examples(write(tmp_path, "e.jsonl", json.dumps({"messages": TURNS})))
    assert (example.prompt, example.completion) == ("Hi", "Hello")
    assert json.loads(example.messages or "") == TURNS


def test_text_is_a_completion_without_prompt(tmp_path: Path) -> None:
    (example,) = read_examples(write(tmp_path, "e.json", json.dumps([{"text": "to be continued"}])))
    assert (example.prompt, example.completion) == ("", "to be continued")


def test_columns_may_be_called_otherwise(tmp_path: Path) -> None:
    file = write(tmp_path, "e.csv", "question,answer\na,b\n")
    (example,) = read_examples(file, {"prompt": "question", "completion": "answer"})
    assert (example.prompt, example.completion) == ("a", "b")


def test_equal_examples_have_equal_ids_wherever_they_come_from(tmp_path: Path) -> None:
    (one,) = read_examples(write(tmp_path, "e.csv", "prompt,completion\na,b\n"))
    (two,) = read_examples(write(tmp_path, "e.jsonl", '{"completion": "b", "prompt": "a"}'))
    assert one.example_id == two.example_id


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("e.jsonl", "", "holds no examples"),
        (
            "e.jsonl",
            '{"question": "a", "answer": "b"}',
            "line 1: lacks the columns .* question, answer",
        ),
        ("e.jsonl", '{"prompt": "a", "completion": "b"}\n{"prompt": "a"}', "line 2: column 'completion' is missing"),
        ("e.jsonl", '{"prompt": "a", "completion": "b"}\n{"prompt": ', "line 2, column 12: not valid JSON"),
        ("e.jsonl", '{"prompt": "a", "completion": " "}', "line 1: column 'completion' is empty"),
        ("e.jsonl", '{"prompt": 3, "completion": "b"}', "line 1: column 'prompt' is int, not text"),
        ("e.jsonl", '["a", "b"]', "line 1: is list, not an object"),
        ("e.jsonl", '{"messages": []}', "line 1: column 'messages' must be a list"),
        ("e.jsonl", '{"messages": [{"role": "user", "content": "a"}]}', "must end with what the assistant answers"),
        ("e.jsonl", '{"messages": [{"role": "boss", "content": "a"}]}', "each message needs a role"),
        ("e.csv", "prompt,completion\na,b\na,b,c\n", "line 3: has another number of fields"),
        ("e.csv", "question,answer\na,b\n", "line 2: lacks the columns .* question, answer"),
        ("e.csv", "prompt,completion\n", "holds no examples"),
        ("e.json", '{"prompt": "a"}', "must hold a list"),
        ("e.jsonl", b'{"prompt": "a", "completion": "b"}\n\xff', "line 2: not UTF-8"),
        ("e.jsonl", '{"prompt": "\\ud800", "completion": "b"}', "line 1: column 'prompt' holds half a character"),
        ("e.xlsx", "x", r"'.xlsx' is no format for examples; permitted: .jsonl"),
    ],
)
def test_a_bad_file_is_refused_with_place_and_reason(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    file = write(tmp_path, name, content)
    with pytest.raises(ExamplesError, match=said) as error:
        read_examples(file)
    assert str(file) in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExamplesError, match=r"gone\.jsonl: cannot be read: No such file"):
        read_examples(tmp_path / "gone.jsonl")
