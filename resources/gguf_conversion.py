"""Turn a GGUF file into a folder of safetensors. Runs in a process of its own: it imports torch.

python -m resources.gguf_conversion FILE.gguf FOLDER
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path


def convert(file: Path, folder: Path) -> None:
    """Write the dequantised model, in float32, and its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    _read_once()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    place = str(file.parent)
    model = AutoModelForCausalLM.from_pretrained(
        place,
        gguf_file=file.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        trust_remote_code=False,
        local_files_only=True,
    )
    tokenizer = AutoTokenizer.from_pretrained(
        place, gguf_file=file.name, trust_remote_code=False, local_files_only=True
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _read_once() -> None:
    """Let transformers share what it makes several times: it parses the file for the configuration, the weights and
    the tokenizer, and builds the table of tensor names once a module. This halves the conversion."""
    import gguf

    gguf.GGUFReader = cache(gguf.GGUFReader)
    gguf.get_tensor_name_map = cache(gguf.get_tensor_name_map)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
