"""An embedder in a child process: the child holds the device and the frameworks, the caller imports neither."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from resources import processes
from resources.embedder.exports import tail
from resources.embedder.frames import read_message, read_vectors, write_message
from resources.processes import ProcessTree, Start

if TYPE_CHECKING:
    import numpy as np

    from resources.embedder.embedder import RuntimeName

WORKER = "llm_assets.training.embedding_worker"


class EmbeddingError(RuntimeError):
    """The child could not embed; the message ends with what it said last."""


class EmbedderProcess:
    """A context manager: entering starts the child, leaving ends it with everything that it started.

    Args:
        reference: of the model, as in `resources.model_sources`.
        base: what a `path:` reference is relative to.
        cache_dir: for exported models.
        runtime: as in `open_embedder`.
        threads: CPU threads of the child; default: those of the lease, or all that it may use.
        start: starts the child: a lease's, or `processes.start`.

    Attributes:
        runtime: what computes the vectors, with its precision; known once it has started.
    """

    def __init__(
        self,
        reference: str,
        *,
        base: Path | None,
        cache_dir: Path,
        runtime: RuntimeName = "auto",
        threads: int | None = None,
        start: Start = processes.start,
    ) -> None:
        self._reference, self._start = reference, start
        self._settings = {
            "reference": reference,
            "base": str(base) if base else None,
            "cache_dir": str(cache_dir),
            "runtime": runtime,
            "threads": threads,
        }
        self._stack = ExitStack()
        self._tree: ProcessTree | None = None
        self.runtime = ""

    def __enter__(self) -> EmbedderProcess:
        with ExitStack() as stack:
            self._errors = stack.enter_context(tempfile.TemporaryFile())  # a file: a full pipe would stop the child
            self._tree = stack.enter_context(
                self._start(
                    [sys.executable, "-m", WORKER],
                    cwd=Path(__file__).resolve().parents[2],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                )
            )
            ready = self._ask(self._settings)
            self.runtime = f"{ready['runtime']} {ready['precision']}"
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        self._tree = None

    def embed(self, texts: Sequence[str], *, query: bool = False) -> np.ndarray:
        """Vectors of documents' texts, or of questions: (len(texts), dimension) float32, L2-normalised.

        Raises:
            EmbeddingError: the child failed or died.
        """
        return self._vectors(self._ask({"texts": list(texts), "query": query}))

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send one message and wait for the answer; there is never more than one on its way."""
        try:
            write_message(self._pipe("stdin"), message)
            answer = read_message(self._pipe("stdout"))
        except BrokenPipeError:
            answer = None
        if answer is None:
            raise self._died()
        if "error" in answer:
            raise EmbeddingError(f"embedder {self._reference}: {answer['error']}")
        return answer

    def _vectors(self, answer: dict[str, Any]) -> np.ndarray:
        vectors = read_vectors(self._pipe("stdout"), answer)
        if vectors is None:
            raise self._died()
        return vectors

    def _pipe(self, name: str) -> IO[bytes]:
        stream: IO[bytes] | None = getattr(self._tree, name, None)
        if stream is None:
            raise EmbeddingError(f"embedder {self._reference}: use EmbedderProcess in a `with` statement.")
        return stream

    def _died(self) -> EmbeddingError:
        code = self._tree.wait() if self._tree else None
        said = tail(self._errors) or "(nothing)"
        return EmbeddingError(
            f"embedder {self._reference}: its process ended with code {code}; it said last:\n{said}"
        )
