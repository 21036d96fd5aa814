"""Weights must load again as what they are, and never on a model that they were not made for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from llm_assets.training.checkpoints import checkpoint_name, file_digest
from llm_assets.training.loading import WeightsError, load_model, load_tuned
from llm_assets.training.stopping import best_of
from tests.tiny_model import save_tiny_model
from tests.training.tiny_jobs import trained


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    trained(folder, tiny, max_steps=2)
    return folder / "adapter"


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(20)[None]).logits


def test_an_adapter_loads_on_its_base_and_says_what_it_was_made_of(adapter: Path, tiny: Path) -> None:
    model, tokenizer = load_tuned(tiny, adapter)
    assert not torch.equal(logits(model), logits(load_model(str(tiny), "auto")))
    assert tokenizer.chat_template
    assert json.loads((adapter / "provenance.json").read_text()) | {"base_weights": ""} == {
        "base": "path:tiny",
        "method": "lora",
        "base_weights": "",
        "steps": 2,
        "seed": 0,
    }


def test_an_adapter_of_another_base_is_refused(adapter: Path, tmp_path: Path) -> None:
    other = save_tiny_model(tmp_path / "other", hidden=32)
    with pytest.raises(WeightsError, match="is an adapter of path:tiny, not of the model in"):
        load_tuned(other, adapter)


def test_what_is_broken_or_pickled_is_refused(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is not whole"):
        load_tuned(tiny, tmp_path)
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="pickled weights are not loaded"):
        load_tuned(pickled, adapter)


def test_a_full_fine_tune_is_a_model_of_its_own(tiny: Path, tmp_path: Path) -> None:
    found = trained(tmp_path, tiny, method="full", learning_rate=1e-3)
    assert found[-1] < found[0] - 0.1
    model, tokenizer = load_tuned(tmp_path / "no base is needed", tmp_path / "model")
    assert not torch.equal(logits(model), logits(load_model(str(tiny), "auto")))
    assert tokenizer.eos_token == "<|end|>"
    assert not list((tmp_path / "model").glob("*.bin")), "no pickles"


def test_a_training_without_progress_stops_and_its_best_weights_are_the_result(tiny: Path, tmp_path: Path) -> None:
    early = {"patience": 2, "min_delta": 10.0}
    trained(tmp_path, tiny, evaluate_every=1, validation=0.2, early_stopping=early, checkpoint_steps=100)
    summary = json.loads((tmp_path / "training.json").read_text())
    assert (summary["stopped_early"], summary["steps"], summary["best_step"]) == (True, 3, 1)
    assert summary["peak_memory_bytes"] > 10**8
    weights = "adapter_model.safetensors"
    best = tmp_path / "checkpoints" / checkpoint_name(1) / weights
    assert file_digest(tmp_path / "adapter" / weights) == file_digest(best)


def test_a_training_that_was_over_before_it_was_measured_keeps_its_last_weights(tiny: Path, tmp_path: Path) -> None:
    trained(tmp_path, tiny, max_steps=2, evaluate_every=100, validation=0.2, early_stopping={"patience": 2})
    assert json.loads((tmp_path / "training.json").read_text())["best_step"] == 2


def test_the_best_evaluation_is_found_in_the_record() -> None:
    history = [{"step": 1, "loss": 1.0}] + [
        {"step": step, "eval_loss": loss} for step, loss in ((2, 3.0), (4, 2.0), (6, 1.95), (8, 2.5))
    ]
    assert (best_of(history, 0.0).step, best_of(history, 0.0).since) == (6, 1)
    assert (best_of(history, 0.1).step, best_of(history, 0.1).since) == (4, 2)
