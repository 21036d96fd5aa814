"""An embedder: cheap to open and to identify; its runtime is loaded when it first embeds."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from resources.embedder.definition import Definition, read_definition
from resources.embedder.languages import known_languages
from resources.embedder.runtimes import Runtime, choose
from resources.embedder.tokens import TokenCounter, tokenizer_file
from resources.model_sources import ModelError, resolve
from resources.threads import cpu_threads

if TYPE_CHECKING:
    import numpy as np

RuntimeName = Literal["auto", "openvino", "sentence-transformers"]


def open_embedder(
    reference: str,
    *,
    cache_dir: Path,
    base: Path | None = None,
    runtime: RuntimeName = "auto",
    threads: int | None = None,
    languages: Iterable[str] | None = None,
) -> Embedder:
    """Open an embedding model by its reference. Milliseconds: only JSON files are read.

    Args:
        reference: as in `resources.model_sources`.
        cache_dir: for exported models and content digests.
        base: what a `path:` reference is relative to.
        runtime: auto takes OpenVINO on a CPU if the model can be exported and the export matches the
            reference, else sentence-transformers.
        threads: CPU threads; default: as in `resources.threads`.
        languages: ISO 639-1 codes that the model serves; default: what its card says.

    Raises:
        ModelError: no such model, not an embedder, or not usable without running foreign code.
    """
    if runtime not in get_args(RuntimeName):
        raise ModelError(reference, f"unknown runtime '{runtime}'. Permitted: {', '.join(get_args(RuntimeName))}.")
    definition = read_definition(resolve(reference, base, cache_dir=cache_dir))
    return Embedder(definition, cache_dir, runtime, cpu_threads(threads), languages)


class Embedder:
    """Turns texts into unit vectors.

    Attributes:
        fingerprint: names the vectors; embedders with equal fingerprints make interchangeable ones.
        dimension: length of a vector.
        max_tokens: the most tokens, special ones not counted, that a text may have and be embedded whole.
        languages: ISO 639-1 codes it is known to serve; None if nobody says.
        tokens: its tokenizer.
    """

    def __init__(
        self,
        definition: Definition,
        cache_dir: Path,
        runtime: RuntimeName,
        threads: int,
        languages: Iterable[str] | None,
    ) -> None:
        self._definition, self._cache_dir = definition, cache_dir
        self._wanted, self._threads = runtime, threads
        self.reference = definition.source.reference
        self.fingerprint = definition.fingerprint
        self.dimension = definition.dimension
        self.languages = known_languages(definition.source.path, languages)

    @functools.cached_property
    def tokens(self) -> TokenCounter:
        """Raises ModelError if the model has no tokenizer.json."""
        definition = self._definition
        file = tokenizer_file(self.reference, definition.source.path)
        bare = TokenCounter(file, definition.max_seq_length, definition.lowercase)
        prompt = definition.document_prompt
        taken = bare.tokenizer.num_special_tokens_to_add(is_pair=False)
        taken += bare.count([prompt])[0] + 1 if prompt else 0  # one more, should prompt and text merge badly
        return TokenCounter(file, definition.max_seq_length - taken, definition.lowercase)

    @property
    def max_tokens(self) -> int:
        return self.tokens.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens and prompt not counted."""
        return self.tokens.count(texts)

    def coverage(self, text: str) -> float:
        """How well the tokenizer knows a text's words, 0 to 1: `TokenCounter.coverage`."""
        return self.tokens.coverage(text)

    @functools.cached_property
    def runtime(self) -> Runtime:
        """Loaded on first use; the first use ever on this machine exports the model.

        Raises:
            ModelError: the runtime that was asked for by name cannot be used, and why.
        """
        return choose(self._definition, self._cache_dir, self._wanted, self._threads)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of documents' texts: (len(texts), dimension) float32, L2-normalised, in the texts' order."""
        return self._unit(texts, self._definition.document_prompt)

    def embed_queries(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of questions: as `embed`, with the model's query prompt."""
        return self._unit(texts, self._definition.query_prompt)

    def embed_query(self, text: str) -> np.ndarray:
        """Vector of one question: (dimension,) float32."""
        return self.embed_queries([text])[0]

    def _unit(self, texts: Sequence[str], prompt: str) -> np.ndarray:
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        vectors = self.runtime.encode(texts, prompt)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(norms, np.finfo(np.float32).tiny)
