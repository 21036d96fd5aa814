"""An answer that is asked for again costs money, one that is stale or of a forgotten document costs more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_assets.models import answers
from llm_assets.models.answers import answers_table, promoted_answerer
from llm_assets.models.children import TrainingError
from llm_assets.models.examples import ExamplesError
from llm_assets.models.forgetting import forget_examples
from llm_assets.models.inputs import Input, read_inputs
from llm_assets.models.promotion import rollback_model
from llm_assets.models.settings import AnswersSettings
from tests.models.promoted import ASKED, Promoted, promote_tiny
from tests.tiny_model import save_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Promoted:
    return promote_tiny(tmp_path_factory.mktemp("promoted"), model)


def write_inputs(promoted: Promoted, *questions: str) -> list[Input]:
    rows = [{"id": f"q{n}", "question": text} for n, text in enumerate(questions)]
    (promoted.spec.folder / "inputs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_inputs(promoted.platform, promoted.spec, promoted.settings)


def ask(promoted: Promoted, inputs: list[Input], **options: Any) -> int:
    answerer = promoted_answerer(promoted.platform, promoted.spec)
    return answers.answer(promoted.platform, promoted.spec, promoted.settings, answerer, inputs, **options)


def kept(promoted: Promoted) -> dict[str, tuple[str, str]]:
    table = answers_table(promoted.platform, promoted.spec)
    return {
        row["input_id"]: (row["answer"], row["version"])
        for batch in table.scan(["input_id", "answer", "version"])
        for row in batch.to_pylist()
    }


def version(promoted: Promoted) -> str:
    return answers.data_version(answers_table(promoted.platform, promoted.spec))


def test_only_what_is_new_or_changed_is_asked_and_what_is_gone_leaves(promoted: Promoted) -> None:
    assert ask(promoted, write_inputs(promoted, "the cat sits", "an owl sits", "the dog sits")) == 3
    first, digest = kept(promoted), version(promoted)
    assert set(first) == {"q0", "q1", "q2"}
    assert {by for _, by in first.values()} == {promoted.run.version}
    assert ask(promoted, write_inputs(promoted, "the cat sits", "an owl sits", "the dog sits")) == 0
    assert version(promoted) == digest
    assert ask(promoted, write_inputs(promoted, "the cat sits", "another owl sits")) == 1
    assert set(kept(promoted)) == {"q0", "q1"}
    assert kept(promoted)["q0"] == first["q0"]
    assert not (promoted.run.path.parent / "answers").exists(), "prompts lie about in the run's folder"


def test_a_killed_run_loses_no_whole_batch(promoted: Promoted, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = write_inputs(promoted, *(f"the elk number {n * 7} sits" for n in range(5)))
    answerer = promoted_answerer(promoted.platform, promoted.spec)
    folder = answers.work_folder(promoted.platform, promoted.spec)
    folder.mkdir(parents=True)
    done = [{"key": answerer.key(one.prompt, promoted.settings), "answer": "kept"} for one in inputs[:3]]
    text = "".join(json.dumps(row) + "\n" for row in done)
    (folder / "answers.jsonl").write_text(text + json.dumps(done[0])[:20])
    assert ask(promoted, inputs) == 2
    assert sorted(said for said, _ in kept(promoted).values())[-3:] == ["kept"] * 3
    monkeypatch.setattr(answers, "ANSWERER_VERSION", "2")
    assert ask(promoted, inputs) == 5
    assert "kept" not in {said for said, _ in kept(promoted).values()}


@pytest.mark.long
def test_a_failing_process_leaves_the_table_whole(promoted: Promoted) -> None:
    ask(promoted, write_inputs(promoted, "the cat sits"))
    before = kept(promoted)

    def stop() -> None:
        raise TrainingError("cancelled")

    with pytest.raises(TrainingError, match="cancelled"):
        ask(promoted, write_inputs(promoted, "the cat sits", "the bee sits"), each=stop)
    assert kept(promoted) == before
    assert ask(promoted, write_inputs(promoted, "the cat sits", "the bee sits")) == 1


@pytest.mark.long
def test_another_promoted_version_answers_everything_again_and_a_rollback_too(tmp_path: Path, model: Path) -> None:
    first = promote_tiny(tmp_path, model)
    ask(first, write_inputs(first, "the cat sits", "an owl sits"))
    second = promote_tiny(tmp_path, model, seed=1)
    assert second.run.version != first.run.version
    assert ask(second, write_inputs(second, "the cat sits", "an owl sits")) == 2
    assert {by for _, by in kept(second).values()} == {second.run.version}
    rollback_model(first.platform, "acme", first.spec.name)
    assert ask(first, write_inputs(first, "the cat sits", "an owl sits")) == 2
    assert {by for _, by in kept(first).values()} == {first.run.version}


def test_what_a_forgotten_document_asked_and_was_answered_is_gone(promoted: Promoted) -> None:
    secret = "the hen of Madame Oberwasser sits"
    ask(promoted, [Input("a", secret, "docs/x", "legal", "x"), Input("b", "the cat sits", "docs/y", "legal", "y")])
    folder = answers.work_folder(promoted.platform, promoted.spec)
    folder.mkdir(parents=True)
    (folder / "data.jsonl").write_text(secret)
    forget_examples(promoted.platform, "acme", "legal", "x")
    assert set(kept(promoted)) == {"b"}
    files = [file for file in promoted.platform.profile.state_dir.rglob("*") if file.is_file()]
    assert not [file for file in files if b"Oberwasser" in file.read_bytes()]


def test_inputs_may_be_parquet_and_rows_without_a_key_are_named_by_their_prompt(promoted: Promoted) -> None:
    pq.write_table(pa.table({"question": ["a", "b", "a"]}), promoted.spec.folder / "inputs.parquet")
    settings = AnswersSettings.model_validate({"inputs": {"path": "inputs.parquet"}, "prompt": "{question}?"})
    assert [one.prompt for one in read_inputs(promoted.platform, promoted.spec, settings)] == ["a?", "b?"]


@pytest.mark.parametrize(
    ("lines", "prompt", "said"),
    [
        ([{"id": "1", "text": "a"}], "{question}", "line 1: has no 'question'; columns there: id, text"),
        ([{"id": "1", "question": "a"}] * 2, "{question}", "line 2: id '1' is also that of line 1"),
        ([{"id": "1", "question": ""}], "{question}", "line 1: gives an empty prompt"),
        ([{"question": "a"}], "{question}", "line 1: has no 'id'"),
        ([{"id": "1", "question": "a"}], "{question.__class__}", "is no column"),
        ([{"id": "1", "question": "a"}], "{question", "a literal brace is written twice"),
    ],
)
def test_inputs_that_cannot_be_asked_are_named(
    promoted: Promoted, lines: list[dict[str, str]], prompt: str, said: str
) -> None:
    (promoted.spec.folder / "inputs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    with pytest.raises(ExamplesError, match=said):
        read_inputs(promoted.platform, promoted.spec, AnswersSettings.model_validate(ASKED | {"prompt": prompt}))
