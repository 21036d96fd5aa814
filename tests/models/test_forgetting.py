"""What must be forgotten may not live on in a training set, an evaluation or a run directory."""

from __future__ import annotations

import json
from pathlib import Path

from llm_assets.models.examples import Example
from llm_assets.models.forgetting import forget_examples, trained_models
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from llm_assets.models.splitting import Split
from llm_assets.models.training_set import (
    TrainingSet,
    contamination,
    load_training_set,
    store_training_set,
)
from resources import state_schema as schema
from resources.platform import Platform

SECRET = "Mr Nakamura's illness"


def a_training_set() -> TrainingSet:
    train = (Example("one", " a"), Example(SECRET, " b", origin="docs/x", doc_id="x"))
    division = Split(train, (Example("two", " a"),), 0, 0, 3)
    rows = [
        {"example_id": e.example_id, "prompt": e.prompt, "completion": e.completion, "messages": None}
        | {"split": "train", "origin": e.origin, "corpus": "legal" if e.doc_id else None, "doc_id": e.doc_id}
        for e in train
    ]
    return TrainingSet(tuple(rows), division, contamination(division), 2, 1)


def test_a_document_leaves_everything_but_the_list_of_what_learned_from_it(
    tmp_path: Path, platform: Platform
) -> None:
    settings = {"name": "m", "data": {"corpus": {"corpus": "legal"}}}
    spec = FineTuneSpec("acme", tmp_path, FineTuneSettings.model_validate(settings))
    store_training_set(platform, spec, a_training_set())
    run = platform.runs("acme", "m") / "0123"
    (run / "evaluations" / "4567").mkdir(parents=True)
    for file in (run / "data.jsonl", run / "evaluations" / "4567" / "answers.jsonl"):
        file.write_text(json.dumps({"prompt": SECRET}))
    who = {"tenant": "acme", "model": "m", "version": "v1", "corpus": "legal", "doc_id": "x"}
    platform.state.put(schema.trained_on, [who])

    assert forget_examples(platform, "acme", "legal", "x") == 1
    assert [row["prompt"] for row in load_training_set(platform, spec)] == ["one"]
    files = [file for file in platform.profile.state_dir.rglob("*") if file.is_file()]
    assert not [file for file in files if SECRET.encode() in file.read_bytes()]
    assert trained_models(platform.state, "acme", "legal", "x") == ["acme/m v1"]
    assert forget_examples(platform, "acme", "legal", "x") == 0


def test_the_same_path_in_another_corpus_is_another_document(tmp_path: Path, platform: Platform) -> None:
    settings = {"name": "m", "data": {"corpus": {"corpus": "legal"}}}
    spec = FineTuneSpec("acme", tmp_path, FineTuneSettings.model_validate(settings))
    store_training_set(platform, spec, a_training_set())
    assert forget_examples(platform, "acme", "handbook", "x") == 0
    assert len(load_training_set(platform, spec)) == 2
