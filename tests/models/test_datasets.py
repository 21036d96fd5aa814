"""A data set must be read as it is, without its code; what is missing must be named."""

from __future__ import annotations

from pathlib import Path

import datasets
import pytest

from llm_assets.models.datasets import read_dataset
from llm_assets.models.examples import ExamplesError
from llm_assets.models.settings.data import DatasetSettings

ROWS = {"question": ["who?", "where?"], "answer": [0, 1]}


@pytest.fixture
def whole() -> datasets.Dataset:
    features = datasets.Features(
        {"question": datasets.Value("string"), "answer": datasets.ClassLabel(names=["cat", "barn"])}
    )
    return datasets.Dataset.from_dict(ROWS, features=features)


def settings(name: str, **changes: object) -> DatasetSettings:
    columns = {"prompt": "question", "completion": "answer"}
    return DatasetSettings.model_validate({"name": name, "columns": columns, **changes})


def test_a_folder_of_parquet_is_read_with_the_names_of_its_classes(tmp_path: Path, whole: datasets.Dataset) -> None:
    (tmp_path / "set").mkdir()
    whole.to_parquet(tmp_path / "set" / "train.parquet")
    found = read_dataset(settings("./set"), tmp_path)
    assert [(example.prompt, example.completion) for example in found] == [("who?", "cat"), ("where?", "barn")]


def test_one_file_and_a_saved_set_are_read(tmp_path: Path, whole: datasets.Dataset) -> None:
    whole.save_to_disk(tmp_path / "saved")
    (tmp_path / "one.csv").write_text("question,answer\nwho?,cat\n")
    assert len(read_dataset(settings("./saved"), tmp_path)) == 2
    assert read_dataset(settings("./one.csv"), tmp_path)[0].completion == "cat"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("question,other\nwho?,cat\n", "lacks the columns"),
        ("question,answer\nwho?,\n", "column 'answer'"),
        ("question,answer\n", "holds no examples"),
    ],
)
def test_missing_columns_and_empty_examples_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "one.csv").write_text(content)
    with pytest.raises(ExamplesError, match=message):
        read_dataset(settings("./one.csv"), tmp_path)


def test_what_breaks_while_rows_are_read_is_said_of_the_data_set(tmp_path: Path) -> None:
    (tmp_path / "cut.jsonl").write_text('{"question": "who?", "answer": "cat"}\n{"question": "whe')
    with pytest.raises(ExamplesError, match=r"data set .*cut.jsonl, split 'train': JSON parse error"):
        read_dataset(settings("./cut.jsonl"), tmp_path)
    many = {"question": [f"question {number}" for number in range(20_000)], "answer": ["cat"] * 20_000}
    file = tmp_path / "torn.parquet"
    datasets.Dataset.from_dict(many).to_parquet(file)
    content = bytearray(file.read_bytes())
    third = len(content) // 3
    content[third : third + 2000] = bytes(2000)
    file.write_bytes(content)
    with pytest.raises(ExamplesError, match=r"data set .*torn.parquet, split 'train': Corrupt"):
        read_dataset(settings("./torn.parquet"), tmp_path)


def test_a_row_without_a_label_is_named(tmp_path: Path, whole: datasets.Dataset) -> None:
    datasets.Dataset.from_dict(ROWS | {"answer": [0, -1]}, features=whole.features).to_parquet(
        tmp_path / "one.parquet"
    )
    with pytest.raises(ExamplesError, match="row 2: column 'answer' is class -1, which has no name"):
        read_dataset(settings("./one.parquet"), tmp_path)


def test_code_is_refused_and_what_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "scripted").mkdir()
    (tmp_path / "scripted" / "scripted.py").write_text("raise SystemExit")
    with pytest.raises(ExamplesError, match=r"brings code of its own \(scripted.py\), which is not run"):
        read_dataset(settings("./scripted"), tmp_path)
    with pytest.raises(ExamplesError, match="no such file or folder"):
        read_dataset(settings("./gone"), tmp_path)


def test_a_set_on_a_hub_needs_a_revision() -> None:
    with pytest.raises(ValueError, match="needs a revision"):
        settings("imdb")
