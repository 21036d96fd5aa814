"""What a sentence-transformers folder says its model computes, read from its JSON files alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from resources.digests import digest_json
from resources.model_sources import ModelError, ModelSource

CLASS = "fp32-equivalent"
"""Every runtime used under a fingerprint reaches cosine >= 0.9999 to the float32 reference."""

LIGHT_MODULES = {"Transformer", "Pooling", "Normalize"}
LIGHT_POOLINGS = {"mean", "cls"}
DOCUMENT_PROMPTS = ("document", "passage", "corpus")

_LEGACY_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class Definition:
    """An embedding model as its folder defines it.

    Attributes:
        modules: class names in order of application, e.g. ("Transformer", "Pooling", "Normalize").
        pooling: modes, concatenated when there are several; empty if no Pooling module.
        dimension: length of a vector.
        max_seq_length: tokens a text is cut to, special tokens included.
        query_prompt, document_prompt: put before every text of that role; "" for none.
        lowercase: whether the text is lowercased before the tokenizer sees it.
    """

    source: ModelSource
    modules: tuple[str, ...]
    pooling: tuple[str, ...]
    dimension: int
    max_seq_length: int
    query_prompt: str
    document_prompt: str
    lowercase: bool

    @property
    def is_light(self) -> bool:
        """Whether the exported runtime can express it."""
        return set(self.modules) <= LIGHT_MODULES and set(self.pooling) <= LIGHT_POOLINGS

    @property
    def fingerprint(self) -> str:
        """Names the vectors: equal fingerprints, interchangeable vectors. No runtime, dtype or device in it."""
        return digest_json(
            {
                "model": self.source.digest,
                "modules": self.modules,
                "pooling": self.pooling,
                "normalised": True,  # always done, even where the model leaves it to the caller
                "max_seq_length": self.max_seq_length,
                "prompts": [self.query_prompt, self.document_prompt],
                "class": CLASS,
            }
        )


def read_definition(source: ModelSource) -> Definition:
    """Read modules.json and what it names.

    Raises:
        ModelError: no embedding model, or one that needs code from outside sentence-transformers.
    """
    folder = source.path
    if not folder.is_dir():
        raise ModelError(source.reference, f"{folder.name} is a language model; an embedder is a folder.")
    config = _json(source, folder / "config.json")
    modules = _modules(source)
    paths = dict(zip(modules, _module_paths(source), strict=True)) if modules else {}
    modules = modules or ("Transformer", "Pooling")  # what sentence-transformers makes of a bare transformer
    pooling = _pooling(source, folder / paths["Pooling"]) if "Pooling" in paths else ("mean",)
    hidden = int(config.get("hidden_size") or config.get("d_model") or config.get("dim") or 0)
    prompts = {k: v or "" for k, v in _json(source, _settings(folder)).get("prompts", {}).items()}
    transformer = _json(source, folder / paths.get("Transformer", ""), "sentence_bert_config.json")
    return Definition(
        source=source,
        modules=modules,
        pooling=pooling,
        dimension=_dense_width(source, paths) or hidden * len(pooling),
        max_seq_length=_max_seq_length(source, config, transformer),
        query_prompt=prompts.get("query", ""),
        document_prompt=next((prompts[name] for name in DOCUMENT_PROMPTS if prompts.get(name)), ""),
        lowercase=bool(transformer.get("do_lower_case", False)),
    )


def _json(source: ModelSource, path: Path, name: str = "") -> dict:
    """A JSON file's object; {} if the file is not there."""
    file = path / name if name else path
    try:
        return json.loads(file.read_text("utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise ModelError(source.reference, f"{file} is not JSON: {error}.") from None


def _settings(folder: Path) -> Path:
    return folder / "config_sentence_transformers.json"


def _modules(source: ModelSource) -> tuple[str, ...]:
    """Class names of modules.json; none if the folder is a bare transformer."""
    types = [str(entry.get("type", "")) for entry in _entries(source)]
    foreign = [name for name in types if not name.startswith("sentence_transformers.")]
    if foreign:
        raise ModelError(
            source.reference,
            f"modules.json asks for code that is not sentence-transformers' own ({', '.join(foreign)}); "
            f"code that comes with a model is never run. Choose a model without it.",
        )
    return tuple(name.rpartition(".")[2] for name in types)


def _module_paths(source: ModelSource) -> list[str]:
    return [str(entry.get("path", "")) for entry in _entries(source)]


def _entries(source: ModelSource) -> list[dict]:
    entries = list(_json(source, source.path / "modules.json") or [])
    for path in (Path(entry.get("path", "")) for entry in entries):
        if path.is_absolute() or ".." in path.parts:
            raise ModelError(source.reference, f"modules.json leaves the model's folder: {path}. Don't trust it.")
    return entries


def _pooling(source: ModelSource, folder: Path) -> tuple[str, ...]:
    """Pooling modes in either of the two ways sentence-transformers has written them."""
    config = _json(source, folder, "config.json")
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in _LEGACY_POOLING.items() if config.get(key)] or ["mean"]
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    prompted = config.get("include_prompt", True)
    return modes if prompted else tuple(f"{mode} without prompt" for mode in modes)


def _dense_width(source: ModelSource, paths: dict[str, str]) -> int:
    config = _json(source, source.path / paths["Dense"], "config.json") if "Dense" in paths else {}
    return int(config.get("out_features", 0))


def _max_seq_length(source: ModelSource, config: dict, transformer: dict) -> int:
    """As declared for sentence-transformers; else the tokenizer's and the position table's limit."""
    if declared := transformer.get("max_seq_length"):
        return int(declared)
    tokenizer = _json(source, source.path / "tokenizer_config.json")
    limits = [tokenizer.get("model_max_length"), config.get("max_position_embeddings")]
    if config.get("model_type") in {"roberta", "xlm-roberta", "camembert", "mpnet"} and limits[1]:
        limits[1] -= 2  # their position table starts behind the padding index
    usable = [int(limit) for limit in limits if limit and 0 < limit < 1_000_000]
    if not usable:
        raise ModelError(source.reference, "says nowhere how many tokens it reads (max_seq_length).")
    return min(usable)
