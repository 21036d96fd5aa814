"""Examples from a file: one a line, as prompt and completion, as messages, or as text."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources.digests import digest

FORMATS: tuple[tuple[str, ...], ...] = (("prompt", "completion"), ("messages",), ("text",))
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv")
ROLES = ("system", "user", "assistant", "tool")


class ExamplesError(ValueError):
    """Examples that cannot be used; the message names file, line and column."""


@dataclass(frozen=True)
class Example:
    """One thing to learn.

    Attributes:
        prompt: what the model is given; empty where it learns to write `completion` itself.
        completion: what it is to answer. The loss is taken on this part only.
        messages: a conversation as JSON; `prompt` and `completion` are then its plain text, for comparing.
        origin: `file`, or the URI of the document it was made from.
        doc_id: that document.
    """

    prompt: str
    completion: str
    messages: str | None = None
    origin: str = "file"
    doc_id: str | None = None

    @property
    def example_id(self) -> str:
        """Digest of the content: equal examples are equal, wherever they come from."""
        return digest("example", self.prompt, self.completion, self.messages or "")


def read_examples(file: Path, columns: Mapping[Any, str] | None = None) -> list[Example]:
    """Read a file of examples.

    Args:
        file: .jsonl, .json (a list), .csv or .tsv with a header; UTF-8.
        columns: our name to the file's name of a column, where they differ.

    Raises:
        ExamplesError: the file is missing, empty or malformed, or lacks a column.
    """
    return examples_of(file, _rows(file), columns)


def examples_of(
    file: Path, rows: Iterable[tuple[int, dict[str, Any]]], columns: Mapping[Any, str] | None = None
) -> list[Example]:
    """Examples from rows.

    Args:
        file: where they come from, for messages.
        rows: line number and columns of each.
        columns: our name to their name of a column, where they differ.

    Raises:
        ExamplesError: there are none, or one is malformed or lacks a column.
    """
    names = dict(columns or {})
    examples, wanted = [], None
    for line, row in rows:
        wanted = wanted or _format(file, line, row, names)
        examples.append(_example(file, line, row, wanted, names))
    if not examples:
        raise ExamplesError(f"{file}: holds no examples; it needs at least one line with {_formats()}")
    return examples


def read_table(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and columns of each row of a file of examples, whatever its columns.

    Raises:
        ExamplesError: the file is missing or malformed.
    """
    return _rows(file)


def read_content(file: Path) -> bytes:
    """The bytes of a file of examples.

    Raises:
        ExamplesError: it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise ExamplesError(f"{file}: cannot be read: {error.strerror}") from None


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and columns of each row."""
    if file.suffix.lower() not in SUFFIXES:
        raise ExamplesError(f"{file}: '{file.suffix}' is no format for examples; permitted: {', '.join(SUFFIXES)}")
    try:
        text = read_content(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ExamplesError(f"{file}, line {line}: not UTF-8; save the file as UTF-8") from None
    match file.suffix.lower():
        case ".jsonl":
            yield from _json_lines(file, text)
        case ".json":
            yield from _json_list(file, text)
        case suffix:
            yield from _table(file, text, "\t" if suffix == ".tsv" else ",")


def _json_lines(file: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: U+2028 may stand in a JSON string
        if line.strip():
            yield number, _object(file, number, _parsed(file, number, line))


def _json_list(file: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = _parsed(file, 1, text) if text.strip() else []
    if not isinstance(rows, list):
        raise ExamplesError(f"{file}: must hold a list of objects; one object a line belongs into a .jsonl file")
    for number, row in enumerate(rows, 1):
        yield number, _object(file, number, row)


def _table(file: Path, text: str, delimiter: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise ExamplesError(
                    f"{file}, line {reader.line_num}: has another number of fields than the header "
                    f"({', '.join(reader.fieldnames or ())})"
                )
            yield reader.line_num, dict(row)
    except csv.Error as error:
        raise ExamplesError(f"{file}, line {reader.line_num}: {error}") from None


def _parsed(file: Path, line: int, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = line + error.lineno - 1
        raise ExamplesError(f"{file}, line {where}, column {error.colno}: not valid JSON: {error.msg}") from None


def _object(file: Path, line: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ExamplesError(f"{file}, line {line}: is {type(row).__name__}, not an object with {_formats()}")
    return row


def _format(file: Path, line: int, row: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str, ...]:
    """The first format all of whose columns the first row has."""
    for wanted in FORMATS:
        if all(names.get(column, column) in row for column in wanted):
            return wanted
    raise ExamplesError(
        f"{file}, line {line}: lacks the columns {_formats()}; it has: {', '.join(row) or 'none'}. "
        "Where they are called differently, say so: columns: {prompt: question, completion: answer}"
    )


def _example(
    file: Path, line: int, row: Mapping[str, Any], wanted: tuple[str, ...], names: Mapping[str, str]
) -> Example:
    values = {column: _value(file, line, row, names.get(column, column)) for column in wanted}
    if "messages" in values:
        return _conversation(file, line, names.get("messages", "messages"), values["messages"])
    for column, value in values.items():
        if problem := _problem(value):
            raise ExamplesError(f"{file}, line {line}: column '{names.get(column, column)}' {problem}")
    return Example(values.get("prompt", ""), values.get("completion") or values["text"])


def _problem(value: Any) -> str | None:
    """What is wrong with a text, if anything is."""
    if not isinstance(value, str):
        return f"is {type(value).__name__}, not text"
    if not value.strip():
        return "is empty"
    if any("\ud800" <= char <= "\udfff" for char in value):
        return "holds half a character (an unpaired surrogate)"
    return None


def _value(file: Path, line: int, row: Mapping[str, Any], column: str) -> Any:
    if column not in row:
        raise ExamplesError(f"{file}, line {line}: column '{column}' is missing; it has: {', '.join(row) or 'none'}")
    return row[column]


def _conversation(file: Path, line: int, column: str, messages: Any) -> Example:
    where = f"{file}, line {line}: column '{column}'"
    if isinstance(messages, str):  # a table's field holds it as JSON
        messages = _parsed(file, line, messages)
    if not isinstance(messages, list) or not messages:
        raise ExamplesError(f"{where} must be a list of {{role, content}}")
    for turn in messages:
        if not isinstance(turn, dict) or turn.get("role") not in ROLES or _problem(turn.get("content")):
            raise ExamplesError(f"{where}: each message needs a role ({', '.join(ROLES)}) and content as text")
    if messages[-1]["role"] != "assistant":
        raise ExamplesError(f"{where} must end with what the assistant answers; it ends with {messages[-1]['role']}")
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in messages]
    prompt = "\n".join(turn["content"] for turn in turns[:-1])
    return Example(prompt, turns[-1]["content"], json.dumps(turns, ensure_ascii=False))


def _formats() -> str:
    return " or ".join(" + ".join(columns) for columns in FORMATS)
