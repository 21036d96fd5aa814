"""Examples in one row must not see each other: what is learned would depend on the neighbours."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from llm_assets.training import packing
from llm_assets.training.batching import token_losses, with_answers
from llm_assets.training.encoding import Encoded
from llm_assets.training.loading import load_model
from tests.training.tiny_jobs import trained

CHANCE = random.Random(0)
EXAMPLES = [
    Encoded(
        tuple(CHANCE.choices(range(300), k=CHANCE.randint(1, 30))),
        tuple(CHANCE.choices(range(300), k=CHANCE.randint(1, 5))),
        shortened=False,
    )
    for _ in range(9)
]


def loss_and_gradients(model: torch.nn.Module, batch: dict) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    labels = batch.pop("labels")
    loss = token_losses(model(**batch).logits, labels).sum()
    loss.backward()
    return loss.item(), {name: weight.grad.clone() for name, weight in model.named_parameters()}  # type: ignore[union-attr]


def test_a_packed_row_gives_the_loss_and_gradients_of_its_examples_one_by_one(tiny: Path) -> None:
    model = load_model(str(tiny), torch.float32)
    alone = [loss_and_gradients(model, with_answers([example], 0)) for example in EXAMPLES]
    packing.enable(model)
    loss, gradients = loss_and_gradients(model, packing.packed(EXAMPLES))
    assert loss == pytest.approx(sum(one for one, _ in alone), rel=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, sum(found[name] for _, found in alone), rtol=1e-4, atol=1e-4)

    mixed, _ = loss_and_gradients(model, packing.packed(EXAMPLES) | {"segments": None})
    assert mixed != pytest.approx(loss, rel=1e-5), "without boundaries the loss is another one"


def test_a_packed_row_in_narrow_numbers_is_as_near_to_the_wide_ones_as_a_padded_batch(tiny: Path) -> None:
    model = load_model(str(tiny), torch.float32)
    exact, wide = loss_and_gradients(model, with_answers(EXAMPLES, 0))
    with torch.autocast("cpu", torch.bfloat16):
        padded, usual = loss_and_gradients(model, with_answers(EXAMPLES, 0))
        packing.enable(model)
        loss, found = loss_and_gradients(model, packing.packed(EXAMPLES))
    assert abs(loss - exact) <= abs(padded - exact) + 1e-3 * exact
    for name, gradient in wide.items():
        off, usually_off = ((each[name] - gradient).norm() for each in (found, usual))
        assert off <= 1.2 * usually_off, name


def test_padded_batches_are_masked_as_ever_where_rows_can_be_packed(tiny: Path) -> None:
    model = load_model(str(tiny), torch.float32)
    before, _ = loss_and_gradients(model, with_answers(EXAMPLES, 0))
    packing.enable(model)
    after, _ = loss_and_gradients(model, with_answers(EXAMPLES, 0))
    assert after == pytest.approx(before, rel=1e-6)


def test_a_window_that_is_shorter_than_an_example_is_a_reason_against(tiny: Path) -> None:
    model = load_model(str(tiny), torch.float32)
    assert packing.reason_against(model, 64) is None
    model.config.sliding_window = 32
    assert "reaches back 32 tokens" in (packing.reason_against(model, 64) or "")
    model.config.layer_types = ["linear_attention", "full_attention"]
    assert "carry a state" in (packing.reason_against(model, 64) or "")


def test_a_training_learns_the_same_packed_padded_and_in_micro_batches(tiny: Path, tmp_path: Path) -> None:
    packed = trained(tmp_path / "packed", tiny, max_steps=4)
    assert trained(tmp_path / "padded", tiny, max_steps=4, packing=False) == pytest.approx(packed, rel=5e-3)
    again = {"micro_batch": 2, "gradient_checkpointing": True}
    assert trained(tmp_path / "micro", tiny, max_steps=4, **again) == pytest.approx(packed, rel=5e-3)
