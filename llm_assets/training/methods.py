"""What is trained of a base model: an adapter beside its weights (in 4 bits, if wanted), or all of them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training

from llm_assets.training.loading import load_model
from llm_assets.training.requirements import missing_for

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    TrainedModel = PreTrainedModel | PeftModel


class MethodError(ValueError):
    """A method that this device or installation cannot carry out; the message says which can."""


def trainable(folder: str, settings: dict[str, Any], device: str, *, narrow: bool) -> TrainedModel:
    """The model, with gradients where the method trains.

    Args:
        folder: of the base model.
        settings: `TrainingSettings`.
        device: kind: cpu, cuda or xla.
        narrow: whether frozen matrices are kept in bfloat16, the type that they are multiplied in. It changes no
            result, and saves half of their memory and the conversion in every step.

    Raises:
        MethodError: qlora is wanted where bitsandbytes is missing or does not support the device.
    """
    method, lora = settings["method"], settings["lora"]
    if method == "full":
        return _without_cache(load_model(folder, torch.float32))
    if method == "qlora":
        return _adapted(_in_four_bits(folder, device, narrow=narrow), lora)
    base = _without_cache(load_model(folder, "auto"))
    for name, weight in _weights(base):
        weight.data = weight.data.to(torch.bfloat16 if narrow and name == "matrix" else torch.float32)
    return _adapted(base, lora)


def base_of(model: TrainedModel) -> PreTrainedModel:
    """The model without its adapter."""
    return cast("PreTrainedModel", model.get_base_model() if isinstance(model, PeftModel) else model)


def wants_checkpointing(setting: bool | str, tokens: int, kept_tokens: int | None) -> bool:
    """Whether to compute activations again in the backward pass rather than keep them: slower, for far less memory.

    Args:
        setting: `training.gradient_checkpointing`.
        tokens: the most at once.
        kept_tokens: those whose activations fit what was granted; None, not known: they are kept.
    """
    return setting if isinstance(setting, bool) else kept_tokens is not None and tokens > kept_tokens


def check_bitsandbytes(device: str) -> None:
    """Refuse qlora where it cannot run.

    Raises:
        MethodError: bitsandbytes is not installed, or does not support this kind of device.
    """
    if missing := missing_for("qlora"):
        raise MethodError(missing)
    supported: set[str] = import_module("bitsandbytes").supported_torch_devices
    if device not in supported:
        permitted = ", ".join(sorted(supported))
        raise MethodError(f"method qlora: bitsandbytes supports {permitted}, not {device}; take method: lora")


def _in_four_bits(folder: str, device: str, *, narrow: bool) -> PreTrainedModel:
    """The base model in NF4 (Dettmers et al., arXiv 2305.14314), computed in the type that training computes in."""
    from transformers import BitsAndBytesConfig

    check_bitsandbytes(device)
    quantised = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if narrow else torch.float32,
    )
    place: str | int = torch.cuda.current_device() if device == "cuda" else device
    base = load_model(folder, torch.float32, quantization_config=quantised, device_map={"": place})
    return prepare_model_for_kbit_training(_without_cache(base), use_gradient_checkpointing=False)


def _adapted(model: PreTrainedModel, lora: dict[str, Any]) -> PeftModel:
    """The model with an adapter on every linear layer of its (last) blocks; only that is trained."""
    config = LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=_targets(model, lora["layers"]) if lora["layers"] else "all-linear",
        task_type="CAUSAL_LM",
    )
    return cast("PeftModel", get_peft_model(model, config))


def _targets(model: PreTrainedModel, last: int) -> list[str]:
    """Full names of the linear layers in the last blocks.

    Raises:
        ValueError: the model's blocks cannot be told apart by name.
    """
    names = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    first = model.config.num_hidden_layers - last
    wanted = [name for name in names if any(part.isdigit() and int(part) >= first for part in name.split("."))]
    if not wanted:
        raise ValueError(f"lora.layers: {type(model).__name__} has no numbered layers; leave it out to adapt all")
    return wanted


def _weights(model: PreTrainedModel) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Each weight once: the matrices of linear layers, which are only multiplied, and the others."""
    head = model.get_output_embeddings()
    tied = {id(head.weight)} if head is not None else set()
    matrices = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Linear)} - tied
    for weight in model.parameters():
        yield ("matrix" if id(weight) in matrices else "other"), weight


def _without_cache(model: PreTrainedModel) -> PreTrainedModel:
    model.config.use_cache = False
    return model
