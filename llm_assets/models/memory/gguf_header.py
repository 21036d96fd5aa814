"""The header of a GGUF file as a configuration (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
FAMILIES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma": "gemma", "gemma2": "gemma2"}
FAMILIES |= {"gemma3": "gemma3_text", "phi3": "phi3", "mistral": "mistral", "smollm3": "smollm3", "olmo2": "olmo2"}
FIELDS = {
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "context_length": "max_position_embeddings",
}


def config_of_gguf(file: Path) -> dict[str, Any]:
    """Its fields by the names of a config.json; a converted model has fp32 weights.

    Raises:
        ValueError: it is no GGUF file, or of a family that is not known.
    """
    with file.open("rb") as source:
        if source.read(4) != MAGIC:
            raise ValueError("is no GGUF file")
        _version, tensors, fields = _number(source, "I"), _number(source, "Q"), _number(source, "Q")
        values = dict(_fields(source, fields))
        shapes = dict(_shapes(source, tensors))
    family = str(values.get("general.architecture", ""))
    if "token_embd.weight" not in shapes:
        raise ValueError("has no embeddings")
    if family not in FAMILIES:
        raise ValueError(f"is of the family '{family}'; known are {', '.join(sorted(FAMILIES))}")
    config = {ours: values[f"{family}.{theirs}"] for theirs, ours in FIELDS.items() if f"{family}.{theirs}" in values}
    return config | {
        "model_type": FAMILIES[family],
        "vocab_size": shapes["token_embd.weight"][1],
        "tie_word_embeddings": "output.weight" not in shapes,
        "dtype": "float32",
    }


def _fields(source: BinaryIO, count: int) -> Iterator[tuple[str, Any]]:
    for _ in range(count):
        name = _string(source).decode()
        yield name, _value(source, _number(source, "I"))


def _shapes(source: BinaryIO, count: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for _ in range(count):
        name, dimensions = _string(source).decode(), _number(source, "I")
        yield name, struct.unpack(f"<{dimensions}Q", source.read(8 * dimensions))
        source.seek(12, 1)  # its type and place


def _value(source: BinaryIO, kind: int) -> Any:
    """A value; of an array only its length is kept."""
    if kind == STRING:
        return _string(source).decode(errors="replace")
    if kind != ARRAY:
        return _number(source, NUMBERS[kind])
    of, length = _number(source, "I"), _number(source, "Q")
    if of == STRING:
        for _ in range(length):
            source.seek(_number(source, "Q"), 1)
    else:
        source.seek(length * struct.calcsize(f"<{NUMBERS[of]}"), 1)
    return length


def _string(source: BinaryIO) -> bytes:
    return source.read(_number(source, "Q"))


def _number(source: BinaryIO, form: str) -> Any:
    size = struct.calcsize(f"<{form}")
    read = source.read(size)
    if len(read) != size:
        raise ValueError("ends in the middle of its header")
    return struct.unpack(f"<{form}", read)[0]
