"""An export that answers otherwise than what was promoted, or is half written, is worse than none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm_assets.models.answers import NothingPromotedError
from llm_assets.models.exporting import ExportError, export
from llm_assets.models.promotion import kept_paths
from llm_assets.training.loading import load_tuned
from resources.platform import Platform
from tests.models.promoted import Promoted, promote_tiny
from tests.tiny_model import save_tiny_model

PROMPTS = ("CAT 7919 sits in the old garden.\nWhere?", "OWL 15838 sits by the river.\nWhere?")


@pytest.fixture(scope="module", params=["lora", "full"])
def promoted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Promoted:
    folder = tmp_path_factory.mktemp("promoted")
    return promote_tiny(folder, save_tiny_model(folder / "model"), method=request.param)


def answers_of(model: Any, tokenizer: Any) -> list[list[int]]:
    encoded = [tokenizer(prompt, return_tensors="pt") for prompt in PROMPTS]
    return [model.eval().generate(**one, do_sample=False, max_new_tokens=8)[0].tolist() for one in encoded]


def test_a_merged_export_is_an_ordinary_model_with_the_same_answers(promoted: Promoted, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    target = tmp_path / "exported"
    done = export(promoted.platform, "acme", promoted.spec.name, target, merge=True)
    assert done.version == promoted.run.version
    names = {file.name for file in target.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md", "provenance.json"} <= names
    assert not [name for name in names if name.startswith("adapter") or name.endswith(".bin")]
    loaded, tokenizer = AutoModelForCausalLM.from_pretrained(target), AutoTokenizer.from_pretrained(target)
    tuned = load_tuned(promoted.model, promoted.run.weights)
    assert answers_of(loaded, tokenizer) == answers_of(*tuned)
    assert [file.name for file in tmp_path.iterdir()] == ["exported"], "something was left beside it"


def test_weights_as_trained_are_loaded_on_their_base_model_or_alone(promoted: Promoted, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    export(promoted.platform, "acme", promoted.spec.name, tmp_path / "weights", merge=False)
    if promoted.run.method == "full":
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "weights")
    else:
        base = AutoModelForCausalLM.from_pretrained(promoted.model)
        loaded = PeftModel.from_pretrained(base, str(tmp_path / "weights"))
    tokenizer = AutoTokenizer.from_pretrained(promoted.model)
    assert answers_of(loaded, tokenizer) == answers_of(*load_tuned(promoted.model, promoted.run.weights))


def test_nothing_is_overwritten_and_a_wrong_version_is_named(promoted: Promoted, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match="is not empty; nothing is overwritten"):
        export(promoted.platform, "acme", promoted.spec.name, tmp_path, merge=True)
    with pytest.raises(NothingPromotedError, match=f"kept: {promoted.run.version}"):
        export(promoted.platform, "acme", promoted.spec.name, tmp_path / "x", merge=True, version="nothing")
    with pytest.raises(NothingPromotedError, match="nothing is promoted"):
        export(promoted.platform, "acme", "another", tmp_path / "x", merge=True)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_state_folder_that_was_moved_still_exports(tmp_path: Path) -> None:
    promoted = promote_tiny(tmp_path / "first", save_tiny_model(tmp_path / "model"))
    (tmp_path / "first" / "state").rename(tmp_path / "moved")
    moved = Platform(promoted.platform.profile.model_copy(update={"state_dir": tmp_path / "moved"}))
    export(moved, "acme", promoted.spec.name, tmp_path / "exported", merge=False)
    assert (tmp_path / "exported" / "adapter_model.safetensors").is_file()
    (kept,) = kept_paths(moved.state, "acme", promoted.spec.name)
    assert kept == tmp_path / "moved" / promoted.run.weights.relative_to(tmp_path / "first" / "state")


def test_weights_that_are_not_whole_are_not_exported(tmp_path: Path) -> None:
    promoted = promote_tiny(tmp_path, save_tiny_model(tmp_path / "model"))
    (promoted.run.weights / "adapter_model.safetensors").write_bytes(b"broken")
    for merge in (True, False):
        with pytest.raises(ExportError, match="is not whole"):
            export(promoted.platform, "acme", promoted.spec.name, tmp_path / "out", merge=merge)
    assert not (tmp_path / "out").exists()
