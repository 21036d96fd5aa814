"""A TPU's environment has another torch: what it trains must be readable by the ordinary one, and have learned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llm_assets.models import launching
from llm_assets.models.launching import layout_on
from llm_assets.training.batching import token_losses, with_answers
from llm_assets.training.encoding import Encoder
from llm_assets.training.loading import load_tuned
from resources.accelerators.devices import Device
from tests.tiny_model import save_tiny_model
from tests.training.tiny_runs import TinyRun, tiny_run

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not launching.TPU_PYTHON.exists(), reason="no .venv-tpu; make tpu-env builds it"),
]

PRETENDED = (Device("here/tpu0", "here", "tpu", "v5e", 16 * 10**9, pretended=True),)


def test_what_was_trained_on_xla_is_loaded_by_the_ordinary_environment(tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path / "model")
    training = tiny_run(tmp_path, model, batch=4, micro_batch=None, max_steps=16, checkpoint_steps=8)
    training.go(layout_on(PRETENDED))
    losses = training.losses
    assert len(losses) == 16
    assert losses[-1] < losses[0] - 0.5
    devices = training.run.summary["devices"]
    assert devices["kind"] == "xla"
    assert devices["programs_compiled"] < 30, "a program for each bucket, not for each step"

    tuned, _ = load_tuned(model, training.run.weights, dtype=torch.float32)
    base, tokenizer = load_tuned(model, training.run.weights, dtype=torch.float32)
    assert _loss(tuned, tokenizer, training) < losses[0] - 0.5
    with base.disable_adapter():  # pyright: ignore[reportCallIssue]  (a PeftModel)
        assert _loss(base, tokenizer, training) == pytest.approx(losses[0], abs=0.3)


def _loss(model, tokenizer, training: TinyRun) -> float:
    encoder = Encoder(tokenizer, 512, chat=False)
    batch = with_answers([piece for row in training.rows[:12] for piece in encoder.pieces(row)], 0)
    labels = batch.pop("labels")
    with torch.no_grad():
        losses = token_losses(model(**batch).logits, labels)
    return float(losses.sum() / (labels[:, 1:] >= 0).sum())
