"""A count that is off by a bias or a norm would not be seen: so each family is counted exactly."""

from __future__ import annotations

import pytest

from llm_assets.models.memory import UnknownArchitecture, Workload, read_config
from llm_assets.models.memory.parameters import adapter_parameters
from tests.models.memory.shapes import SMALL, on_meta, small_config


@pytest.mark.parametrize("name", SMALL)
def test_the_parameters_of_each_family_are_counted_exactly(name: str) -> None:
    config = small_config(name)
    model = on_meta(config)
    shape = read_config(config.to_dict())
    assert shape.exact
    assert shape.parameters == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("name", [name for name in SMALL if name not in ("falcon",)])
def test_the_parameters_of_an_adapter_are_those_that_peft_trains(name: str) -> None:
    from peft import LoraConfig, get_peft_model

    config = small_config(name)
    adapted = get_peft_model(on_meta(config), LoraConfig(r=8, target_modules="all-linear"), low_cpu_mem_usage=True)
    trained = sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)
    assert adapter_parameters(read_config(config.to_dict()), Workload("lora", adapter_rank=8)) == trained


def test_an_adapter_on_the_last_blocks_and_on_named_layers_is_smaller() -> None:
    shape = read_config(small_config("llama").to_dict())
    all_of_it = adapter_parameters(shape, Workload("lora", adapter_rank=4))
    assert adapter_parameters(shape, Workload("lora", adapter_rank=4, adapter_layers=1)) == all_of_it // 2
    queries = Workload("lora", adapter_rank=4, adapter_targets=("q_proj",))
    assert adapter_parameters(shape, queries) == 2 * 4 * (64 + 64)


def test_an_unknown_family_is_read_as_llama_and_says_that_it_is_a_guess() -> None:
    config = small_config("llama").to_dict() | {"model_type": "newer"}
    assert not read_config(config).exact


def test_what_is_no_transformer_is_refused_with_the_missing_field() -> None:
    with pytest.raises(UnknownArchitecture, match=r"'resnet' has no hidden_size.*known types: bloom"):
        read_config({"model_type": "resnet"})
