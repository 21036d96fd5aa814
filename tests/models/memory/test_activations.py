"""A formula may forget a tensor: what autograd really saves is counted on models of several families.

They are small, so that what is kept once a model weighs more than in a large one: hence the tolerance.
"""

from __future__ import annotations

from typing import Any

import pytest

from llm_assets.models.memory import Workload, read_config
from llm_assets.models.memory.activations import activations
from tests.models.memory.shapes import small_config

BATCH, TOKENS = 4, 64
TOLERANCE = 0.12
FULL = [
    ("llama", "sdpa"),
    ("llama", "eager"),
    ("qwen3", "sdpa"),
    ("gemma", "eager"),
    ("gemma2", "eager"),
    ("olmo2", "sdpa"),
    ("mixtral", "sdpa"),
    ("gpt_neox", "sdpa"),
    ("bloom", "eager"),
    ("opt", "sdpa"),
    ("phi", "eager"),
    ("mt5", "eager"),
]


@pytest.mark.parametrize(("name", "attention"), FULL)
def test_a_full_training_keeps_what_the_formulas_say(name: str, attention: str) -> None:
    config = small_config(name)
    assert _predicted(config, "full", attention) == pytest.approx(_saved(config, "full", attention), rel=TOLERANCE)


@pytest.mark.parametrize("name", ["llama", "qwen2", "phi", "opt"])
def test_an_adapter_does_not_keep_the_inputs_of_frozen_layers(name: str) -> None:
    config = small_config(name)
    assert _predicted(config, "lora", "sdpa") == pytest.approx(_saved(config, "lora", "sdpa"), rel=TOLERANCE)
    assert _predicted(config, "lora", "sdpa") < 1.1 * _predicted(config, "full", "sdpa")


def test_checkpointing_keeps_the_stream_and_one_block() -> None:
    shape = read_config(small_config("llama").to_dict())
    kept = activations(shape, Workload("full", batch=BATCH, tokens=TOKENS, weight_width=2))
    again = activations(shape, Workload("full", batch=BATCH, tokens=TOKENS, weight_width=2, checkpointing=True))
    assert kept / 2 < again < kept


def _predicted(config: Any, method: Any, attention: Any) -> int:
    workload = Workload(
        method,
        batch=BATCH,
        tokens=TOKENS,
        target_tokens=TOKENS if config.is_encoder_decoder else 0,
        weight_width=2,
        adapter_rank=4,
        attention=attention,
    )
    return activations(read_config(config.to_dict()), workload)


def _saved(config: Any, method: str, attention: str) -> int:
    """Bytes of storages that autograd holds after a forward pass with one logit a row, the model's own left out."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_config(config, dtype=torch.bfloat16, attn_implementation=attention)
    if method == "lora":
        from peft import LoraConfig, get_peft_model

        wanted = LoraConfig(r=4, target_modules="all-linear")
        model = get_peft_model(model, wanted, autocast_adapter_dtype=False)
    model.train()
    own = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers()]}
    kept: dict[int, Any] = {}

    def saved(tensor: Any) -> Any:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.randint(5, 500, (BATCH, TOKENS), generator=torch.Generator().manual_seed(0))
    inputs = {"labels": ids} if config.is_encoder_decoder else {"logits_to_keep": 1}
    with torch.autograd.graph.saved_tensors_hooks(saved, lambda tensor: tensor):
        output = model(input_ids=ids, **inputs)
    assert output is not None  # alive until here, and with it the graph
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
