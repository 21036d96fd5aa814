"""A language model as a folder that can be trained: config.json, tokenizer, safetensors.

A GGUF file is dequantised once, in a child process, into a cache keyed by its content; a folder is used as it is.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from resources import processes
from resources.digests import digest
from resources.model_sources import ModelError, ModelSource, resolve

CONVERTER = "1"  # part of the cache key: raise it when the conversion gives another result


@dataclass(frozen=True)
class LanguageModel:
    """A model that `from_pretrained` can load.

    Attributes:
        reference: as the user wrote it.
        path: the folder.
        digest: of the content of the source.
    """

    reference: str
    path: Path
    digest: str


def open_language_model(reference: str, *, base: Path | None, cache_dir: Path) -> LanguageModel:
    """Find a model, and make it loadable if it is not.

    Args:
        reference: hf:<repo>@<revision>, path:<folder or .gguf file> or package:<distribution>.
        base: where a relative path starts.
        cache_dir: holds converted models; can be deleted.

    Raises:
        ModelError: the reference does not resolve, its weights are pickles, or it cannot be converted.
    """
    source = resolve(reference, base, cache_dir=cache_dir)
    path = source.path if source.path.is_dir() else _dequantised(source, cache_dir / "language_models")
    return LanguageModel(reference, path, source.digest)


def _dequantised(source: ModelSource, cache: Path) -> Path:
    """The converted model; two that convert at once both end with a whole folder."""
    target = cache / digest("gguf", CONVERTER, source.digest)
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".converting-", dir=cache, ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch) / "model"
        _convert(source, folder)
        try:
            folder.rename(target)
        except OSError:  # another was faster
            if not target.is_dir():
                raise
    return target


def _convert(source: ModelSource, folder: Path) -> None:
    command = [sys.executable, "-m", "resources.gguf_conversion", str(source.path), str(folder)]
    root = Path(__file__).resolve().parent.parent
    said = folder.with_name("stderr.txt")
    offline = {"HF_HUB_OFFLINE": "1"}
    with said.open("wb") as file, processes.start(command, cwd=root, stderr=file, env=offline) as child:
        code = child.wait()
    if code != 0:
        lines = said.read_text(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit code {code}"
        raise ModelError(source.reference, f"{source.path.name} cannot be converted to safetensors: {reason}")
