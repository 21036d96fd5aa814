"""The table holds exactly one training set, its version is its content, and what leaks is measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llm_assets.models.examples import Example, ExamplesError
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from llm_assets.models.splitting import Split
from llm_assets.models.training_set import (
    build_training_set,
    contamination,
    load_training_set,
    rows_digest,
    store_training_set,
)
from resources.platform import Platform
from tests.models.real_model import example_rows

CHUNKS = [
    {"doc_id": f"d{n}", "uri": f"docs/{folder}/{n}.md", "ordinal": 0, "text": f"{n * 7919} {folder} " * 9}
    | {"title": None, "headings": [], "language": "en", "chunk_id": str(n)}
    for n, folder in enumerate(("terms", "notices", "policies") * 4)
]
FROM_CORPUS = {"corpus": "legal", "prompt": "{text}", "completion": " {folder}"}


def spec(folder: Path, **data: Any) -> FineTuneSpec:
    (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in example_rows()))
    settings = {"name": "places", "data": data or {"examples": {"path": "examples.jsonl"}}}
    return FineTuneSpec("acme", folder, FineTuneSettings.model_validate(settings))


def no_chunks() -> Any:
    raise AssertionError("no corpus was named")


def test_a_file_and_a_corpus_become_one_training_set(tmp_path: Path) -> None:
    both = spec(tmp_path, examples={"path": "examples.jsonl"}, corpus=FROM_CORPUS)
    built = build_training_set(both, lambda: (CHUNKS, "docs"))
    assert (built.from_file, built.from_corpus) == (36, 12)
    assert {row["origin"] for row in built.rows} == {"file"} | {chunk["uri"] for chunk in CHUNKS}
    assert {row["corpus"] for row in built.rows if row["doc_id"]} == {"legal"}
    assert built.count("train") + built.count("held_out") == len(built.rows)


def test_the_table_holds_one_set_and_gives_back_its_version(tmp_path: Path, platform: Platform) -> None:
    wanted = spec(tmp_path)
    first = build_training_set(wanted, no_chunks)
    store_training_set(platform, wanted, first)
    (tmp_path / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in example_rows()[:20]))
    second = build_training_set(wanted, no_chunks)
    store_training_set(platform, wanted, second)
    rows = load_training_set(platform, wanted)
    assert len(rows) == len(second.rows) < len(first.rows)
    assert rows_digest(rows) == second.digest != first.digest


def test_nothing_that_is_examined_is_trained_on(tmp_path: Path) -> None:
    found = build_training_set(spec(tmp_path), no_chunks).contamination
    assert found.exact == 0
    assert 0 <= found.mean_overlap < 0.5


def test_what_leaks_is_measured() -> None:
    secret = "The vault opens with the seventh key, turned twice to the left and once to the right."
    train = (Example(f"Before it: {secret} After it.", " x"), Example("Nothing to see here", " y"))
    held_out = (Example(secret, " x"), Example("Quite another matter altogether, not told before", " y"))
    found = contamination(Split(train, held_out, 0, 0, 4))
    assert found.given_away == 1
    assert found.worst[0] == (held_out[0].example_id, 1.0)
    assert found.mean_overlap == pytest.approx(0.5)


def test_too_few_different_examples_are_refused(tmp_path: Path) -> None:
    wanted = spec(tmp_path)
    (tmp_path / "examples.jsonl").write_text(json.dumps(example_rows()[0]) + "\n")
    with pytest.raises(ExamplesError, match="1 examples are 1 that differ enough to be divided"):
        build_training_set(wanted, no_chunks)
