"""The light runtime: an exported model under OpenVINO. Imports numpy, tokenizers and openvino, 0.3 s in all."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from resources.embedder.batches import batches
from resources.embedder.tokens import read_tokenizer, tokenizer_file

if TYPE_CHECKING:
    import numpy as np
    import openvino as ov

    from resources.embedder.definition import Definition

MODEL_FILE = "model.xml"
WINDOW = 4096  # texts that are tokenized and sorted together
BATCH_TOKENS = 2048  # of one inference, padding included: small enough for a core's caches
LEAST_BATCH_TOKENS = 256
PADDED_TO = 8  # widths are rounded up, because the runtime keeps prepared kernels for every shape it has seen
KEPT_SHAPES = 64

Precision = Literal["bf16", "f32"]


class OpenVinoRuntime:
    """Embeds texts with an exported model.

    Limits: CPU only; memory is that of the model and of `BATCH_TOKENS` a thread, whatever the number of texts.

    Args:
        exported: the folder that holds `MODEL_FILE`.
        definition: the model's, for tokenizer and truncation.
        threads: CPU threads.
        precision: of the computation; vectors are float32 in any case.
    """

    name = "openvino"

    def __init__(self, exported: Path, definition: Definition, threads: int, precision: Precision) -> None:
        ov = import_openvino()
        file = tokenizer_file(definition.source.reference, definition.source.path)
        self._tokenizer = read_tokenizer(file, definition.lowercase)
        self._tokenizer.enable_truncation(definition.max_seq_length)
        self._dimension = definition.dimension
        self._streams = threads  # one thread a stream: batches side by side need no synchronisation within
        self.precision = precision
        model = ov.Core().compile_model(
            exported / MODEL_FILE,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": precision,
                "INFERENCE_NUM_THREADS": threads,
                "ENABLE_CPU_PINNING": False,  # else two processes of one thread share one core
                "NUM_STREAMS": self._streams,
                "CPU_RUNTIME_CACHE_CAPACITY": KEPT_SHAPES,
            },
        )
        self._free: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(self._streams):
            self._free.put(model.create_infer_request())
        self._infer([[0]])

    def encode(self, texts: Sequence[str], prompt: str) -> np.ndarray:
        """Vectors of texts, in their order.

        Args:
            texts: any number; each is cut to the model's length, as the reference does.
            prompt: put before each text.

        Returns:
            (len(texts), dimension) float32, as the model defines them.
        """
        import numpy as np

        vectors = np.empty((len(texts), self._dimension), np.float32)
        for start in range(0, len(texts), WINDOW):
            window = [prompt + text for text in texts[start : start + WINDOW]]
            self._encode_window(window, vectors[start : start + len(window)])
        return vectors

    def _encode_window(self, texts: list[str], vectors: np.ndarray) -> None:
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]

        def embed(batch: list[int]) -> None:
            vectors[batch] = self._infer([ids[index] for index in batch])

        # Plain threads, not AsyncInferQueue: the interpreter lock that its callbacks need is held while a model
        # is deleted, which then waits for them forever.
        with ThreadPoolExecutor(self._streams) as pool:
            for _ in pool.map(embed, batches([len(row) for row in ids], self._budget(ids))):
                pass

    def _infer(self, rows: list[list[int]]) -> np.ndarray:
        """Vectors of token ids, (rows, dimension).

        The constructor calls it once, before there are threads: OpenVINO's binding looks up numpy in its first call,
        and two first calls at once wait for each other, one with the interpreter lock, one with the lookup's.
        """
        request = self._free.get()
        try:
            found: np.ndarray = request.infer(_padded(rows), share_inputs=True, share_outputs=True)[0]
            return found.copy()  # the request's own memory, which its next batch overwrites
        finally:
            self._free.put(request)

    def _budget(self, ids: list[list[int]]) -> int:
        """Tokens of a batch: fewer when there is little work, so that every stream gets some of it."""
        share = sum(map(len, ids)) // self._streams
        return max(LEAST_BATCH_TOKENS, min(BATCH_TOKENS, share))


def _padded(rows: list[list[int]]) -> dict[str, np.ndarray]:
    """Token ids and attention mask, (rows, width) int64; padded with 0, which the mask hides."""
    import numpy as np

    width = -(-max(len(row) for row in rows) // PADDED_TO) * PADDED_TO
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def import_openvino() -> ModuleType:
    """`import openvino` without its telemetry: it would report to its maker's server at every import."""
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: not to be imported
    import openvino

    return openvino


def cpu_has_bf16() -> bool:
    """Whether this CPU computes bf16 itself; where it is emulated it is slower than f32."""
    capabilities = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "BF16" in capabilities and any(flag in _cpu_flags() for flag in ("avx512_bf16", "amx_bf16", "bf16"))


def _cpu_flags() -> Iterator[str]:
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return iter(())
    lines = file.read_text("utf-8", "replace").splitlines()
    first = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return iter(first.partition(":")[2].split())
