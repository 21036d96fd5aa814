"""A model, base or tuned, and its tokenizer in this process: safetensors only, no code of the model's own."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is a local folder here
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from llm_assets.training.checkpoints import is_whole
from llm_assets.training.jobs import PROVENANCE
from resources.accelerators.visibility.cuda import limit_torch
from resources.digests import digest
from resources.threads import cpu_threads

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # transformers imports it, and it misses a hub's kernels

EDGE_BYTES = 1 << 20  # of each file of weights: the header with every tensor's name and shape, and both ends


class WeightsError(ValueError):
    """Weights that must not be loaded; the message says why."""


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

    from llm_assets.training.devices import here

    if here().kind == "xla":
        return False  # its autocast mixes types in attention; a TPU multiplies float32 in bfloat16 by itself
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


def load_model(folder: str, dtype: torch.dtype | Literal["auto"], **options: Any) -> PreTrainedModel:
    """A whole model. `options` go to `from_pretrained`: where it is placed, how it is quantised.

    Raises:
        OSError: there are no safetensors in the folder.
    """
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True, **options
    )


def load_tuned(
    base_folder: str | Path, weights_folder: str | Path, **options: Any
) -> tuple[PreTrainedModel | PeftModel, PreTrainedTokenizerBase]:
    """Load what a fine-tune left: the adapter on its base model, or the whole model.

    Args:
        base_folder: the base model; not read where all weights were trained.
        weights_folder: `Run.weights`: sealed.
        options: for `from_pretrained`: dtype (default "auto"), device_map, max_memory.

    Raises:
        WeightsError: the folder is not whole, is not one of ours, or holds an adapter of another base model.
    """
    from peft import PeftModel

    weights = Path(weights_folder)
    provenance = read_provenance(weights)
    options = {"dtype": "auto", **options}
    if provenance["method"] == "full":
        return load_model(str(weights), **options), load_tokenizer(str(weights))
    check_made_for(base_folder, weights)
    base = load_model(str(base_folder), **options)
    tuned = PeftModel.from_pretrained(base, str(weights), autocast_adapter_dtype=False)
    return tuned, load_tokenizer(str(base_folder))


def check_made_for(base_folder: str | Path, weights: Path) -> None:
    """Refuse an adapter of another base model.

    Raises:
        WeightsError: it is one, or it is not whole.
    """
    provenance = read_provenance(weights)
    if provenance["base_weights"] != weights_digest(Path(base_folder)):
        raise WeightsError(
            f"{weights}: is an adapter of {provenance['base']}, not of the model in {base_folder}, "
            "on which it would give nonsense; train one for this model"
        )


def read_provenance(weights: Path) -> dict[str, Any]:
    """What sealed weights were made of.

    Raises:
        WeightsError: the folder is not whole, or not one of ours.
    """
    if not is_whole(weights):
        raise WeightsError(f"{weights}: is not whole: a file is missing or changed; materialise tuned_model again")
    if not (weights / PROVENANCE).is_file() or not any(weights.glob("*.safetensors")):
        raise WeightsError(
            f"{weights}: holds no {PROVENANCE} and safetensors; only what tuned_model has sealed is loaded"
        )
    return json.loads((weights / PROVENANCE).read_text(encoding="utf-8"))


def weights_digest(folder: Path) -> str:
    """Names a model's weights without reading all of them: every tensor's name, shape and place, and both ends.

    Raises:
        WeightsError: there are no safetensors.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise WeightsError(f"{folder}: holds no safetensors; pickled weights are not loaded")
    return digest("weights", *(part for file in files for part in _edges(file)))


def _edges(file: Path) -> tuple[str, bytes, bytes]:
    size = file.stat().st_size
    with file.open("rb") as weights:
        head = weights.read(EDGE_BYTES)
        weights.seek(max(0, size - EDGE_BYTES))
        return f"{file.name} {size}", head, weights.read()
