"""The reference runtime: sentence-transformers itself, on an accelerator where one is visible, else on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resources.accelerators.visibility.cuda import limit_torch
from resources.embedder.batches import batches
from resources.model_sources import ModelError

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer

    from resources.embedder.definition import Definition

BATCH_CHARACTERS = {"cpu": 16_384, "accelerator": 262_144}


class SentenceTransformersRuntime:
    """Embeds texts with any model that sentence-transformers can load without foreign code.

    Args:
        definition: what to load.
        threads: CPU threads.
    """

    name = "sentence-transformers"
    precision = "f32"

    def __init__(self, definition: Definition, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        limit_torch()
        self._model = load_reference(definition)
        self._dimension = definition.dimension
        if (found := self._model.get_embedding_dimension()) != self._dimension:
            raise ModelError(
                definition.source.reference,
                f"its vectors have {found} numbers, but its JSON files say {self._dimension}. Repair them.",
            )
        on_cpu = self._model.device.type == "cpu"
        self._budget = BATCH_CHARACTERS["cpu" if on_cpu else "accelerator"]

    def encode(self, texts: Sequence[str], prompt: str) -> np.ndarray:
        """As `OpenVinoRuntime.encode`."""
        import numpy as np

        vectors = np.empty((len(texts), self._dimension), np.float32)
        for batch in batches([len(text) for text in texts], self._budget):
            vectors[batch] = self._model.encode(
                [texts[index] for index in batch],
                prompt=prompt,
                batch_size=len(batch),
                show_progress_bar=False,
                convert_to_numpy=True,
            )
        return vectors


def load_reference(definition: Definition, device: str | None = None) -> SentenceTransformer:
    """The model as sentence-transformers defines it: local files, safetensors, no code of the model's own."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        str(definition.source.path),
        device=device,
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )
    model.max_seq_length = definition.max_seq_length
    return model.eval()
