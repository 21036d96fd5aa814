"""A base model and its tokenizer in this process: safetensors only, no code of the model's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is a local folder here
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from resources.accelerators.visibility.cuda import limit_torch
from resources.threads import cpu_threads

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def quiet_libraries() -> None:
    """No progress bars in the logs: our own lines say how far it is."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def use_lease(threads: int | None) -> None:
    """Keep to what this process was granted: CPU threads, and its part of a shared device's memory.

    The same count of threads gives the same sums: results can be compared bit by bit on one machine.
    """
    import torch

    torch.set_num_threads(cpu_threads(threads))
    limit_torch()


def has_bf16() -> bool:
    """Whether this machine computes in bfloat16 rather than emulating it."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = Path("/proc/cpuinfo")
    return flags.exists() and any(flag in flags.read_text() for flag in ("avx512_bf16", "amx_bf16"))


def load_tokenizer(folder: str) -> PreTrainedTokenizerBase:
    """The tokenizer; a missing padding token is replaced by the end token (padding is masked)."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def token_id(tokenizer: PreTrainedTokenizerBase, name: Literal["pad", "eos"]) -> int:
    """The id of a special token.

    Raises:
        ValueError: the tokenizer has none.
    """
    found = tokenizer.pad_token_id if name == "pad" else tokenizer.eos_token_id
    if not isinstance(found, int):
        raise ValueError(f"the model's tokenizer has no {name} token, so the end of an answer cannot be learned")
    return found


def load_model(folder: str, dtype: torch.dtype) -> PreTrainedModel:
    """The base model.

    Raises:
        OSError: there are no safetensors in the folder.
    """
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True
    )
