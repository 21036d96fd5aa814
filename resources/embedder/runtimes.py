"""Which runtime computes an embedder's vectors on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from resources.embedder.exports import exported
from resources.model_sources import ModelError

if TYPE_CHECKING:
    import numpy as np

    from resources.embedder.definition import Definition

log = logging.getLogger(__name__)


class Runtime(Protocol):
    """A loaded model."""

    name: str
    precision: str

    def encode(self, texts: Sequence[str], prompt: str) -> np.ndarray:
        """(len(texts), dimension) float32, not necessarily normalised."""
        ...


def choose(definition: Definition, cache_dir: Path, wanted: str, threads: int) -> Runtime:
    """Load the runtime that was asked for, or with `auto` the fastest one that matches the reference.

    Raises:
        ModelError: `openvino` was asked for and the model can't be exported in its numerical class.
    """
    if wanted == "sentence-transformers" or (wanted == "auto" and accelerator_visible()):
        return _reference(definition, threads)
    reason = _not_light(definition)
    if reason is None:
        folder, record = exported(definition, cache_dir)
        reason = record.refusal
        if reason is None:
            from resources.embedder.openvino_runtime import OpenVinoRuntime, cpu_has_bf16

            precision = "bf16" if record.allows("bf16") and cpu_has_bf16() else "f32"
            return OpenVinoRuntime(folder, definition, threads, precision)
    if wanted == "openvino":
        raise ModelError(
            definition.source.reference,
            f"cannot run under openvino: {reason}. Use runtime: auto or sentence-transformers.",
        )
    log.warning("embedder %s runs under sentence-transformers: %s", definition.source.reference, reason)
    return _reference(definition, threads)


def _reference(definition: Definition, threads: int) -> Runtime:
    from resources.embedder.torch_runtime import SentenceTransformersRuntime

    return SentenceTransformersRuntime(definition, threads)


def _not_light(definition: Definition) -> str | None:
    if definition.is_light:
        return None
    return f"the light runtime cannot express {' + '.join(definition.modules)} with pooling {definition.pooling}"


def accelerator_visible() -> bool:
    """Whether this process may use a CUDA device, found without importing a framework."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in {"", "-1"}
    return not hidden and Path("/dev/nvidiactl").exists()
