"""Computing logits only where something is learned must not change the loss."""

from __future__ import annotations

import pytest
import torch

from llm_assets.training.batching import all_likeliest, token_losses, with_answers
from llm_assets.training.encoding import IGNORED, Encoded
from llm_assets.training.loading import load_model
from resources.language_model import LanguageModel

EXAMPLES = [Encoded((5, 6, 7, 8, 9), (10, 11), False), Encoded((12,), (13, 14, 15), False)]


def test_completions_lie_at_the_right_edge() -> None:
    batch = with_answers(EXAMPLES, pad=0)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9, 10, 11], [0, 0, 0, 12, 13, 14, 15]]
    assert batch["attention_mask"].tolist() == [[1] * 7, [0, 0, 0, 1, 1, 1, 1]]
    assert batch["position_ids"].tolist()[1][3:] == [0, 1, 2, 3]
    assert batch["labels"].tolist() == [[IGNORED] * 2 + [10, 11], [IGNORED, 13, 14, 15]]
    assert batch["logits_to_keep"] == 4


def test_the_loss_is_that_of_the_model_itself_on_each_example_alone(smollm2: LanguageModel) -> None:
    model = load_model(str(smollm2.path), torch.float32).eval()
    batch = with_answers(EXAMPLES, pad=0)
    labels = batch.pop("labels")
    with torch.inference_mode():
        sums = token_losses(model(**batch).logits, labels).sum(1)
        for i, example in enumerate(EXAMPLES):
            ids = torch.tensor([[*example.prompt, *example.completion]])
            own = torch.tensor([[*[IGNORED] * len(example.prompt), *example.completion]])
            expected = float(model(input_ids=ids, labels=own).loss) * len(example.completion)
            assert float(sums[i]) == pytest.approx(expected, rel=1e-4)


def test_likeliest_means_at_every_labelled_place() -> None:
    labels = torch.tensor([[IGNORED, 2, 1], [IGNORED, IGNORED, 1], [IGNORED, 0, 1]])
    logits = torch.nn.functional.one_hot(torch.tensor([[2, 1, 0], [0, 1, 0], [2, 1, 0]]), 3).float()
    assert all_likeliest(logits, labels).tolist() == [True, True, False]
