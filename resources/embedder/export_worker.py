"""Exports an embedding model for OpenVINO and measures the result against the reference; then it ends.

    python -m resources.embedder.export_worker REFERENCE CACHE_DIR FOLDER

A process of its own, because torch and sentence-transformers take seconds and a gigabyte that the embedding
itself doesn't need. REFERENCE has an absolute path. Into FOLDER go model.xml, model.bin and record.json.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from resources.embedder.definition import Definition, read_definition
from resources.embedder.exports import Record
from resources.embedder.openvino_runtime import (
    MODEL_FILE,
    OpenVinoRuntime,
    Precision,
    cpu_has_bf16,
    import_openvino,
)
from resources.embedder.torch_runtime import load_reference
from resources.model_sources import resolve

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PROBES = (
    "",
    "Lease",
    "The tenant shall pay the rent on the first day of each month.",
    "Either party may terminate this agreement with ninety (90) days' written notice; Art. 12(3) applies.",
    "e-mail: sales@example.com, tel. +81 3-1234-5678, invoice No. 2024/117 for ¥1,250,000.",
    "契約",
    "乙は、甲に対し、毎月末日までに賃料を支払うものとする。",
    "秘密情報とは、開示者が受領者に対して開示した技術上または営業上の情報をいう。ただし、公知の情報を除く。",
    "The 株式会社 must file the 届出 (notification) within 14 days.",
    "The seller warrants that the goods are free from defects. " * 12,
    "The seller warrants that the goods are free from defects in material and workmanship. " * 60,
    "本契約に関する一切の紛争については、東京地方裁判所を第一審の専属的合意管轄裁判所とする。" * 4,
    "本契約に関する一切の紛争については、東京地方裁判所を第一審の専属的合意管轄裁判所とする。" * 30,
)
"""Short and long, beyond the model's length too, in English, Japanese, both and neither."""


class _Pipeline(torch.nn.Module):
    """All modules of a sentence-transformers model as one: ids and mask in, vectors out."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.stages = torch.nn.ModuleList(list(model))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        for stage in self.stages:
            features = stage(features)
        return features["sentence_embedding"]


def convert(model: SentenceTransformer, folder: Path) -> None:
    """Write the model as OpenVINO IR with float32 weights, open to every batch size and length.

    The frontend is called directly, because `openvino.convert_model` reports to its maker's server.
    """
    ov = import_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = model.preprocess(list(PROBES[1:4]))
    inputs = {name: example[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        decoder = TorchScriptPythonDecoder(_Pipeline(model).eval(), example_input=inputs)
    frontend = FrontEndManager().load_by_framework("pytorch")
    graph = frontend.convert(frontend.load(decoder))
    graph.reshape({port: ov.PartialShape([-1, -1]) for port in graph.inputs})
    ov.save_model(graph, folder / MODEL_FILE, compress_to_fp16=False)


def smallest_cosine(definition: Definition, folder: Path, precision: Precision, expected: np.ndarray) -> float:
    """Of the exported model's vectors of the probes to the reference's."""
    runtime = OpenVinoRuntime(folder, definition, torch.get_num_threads(), precision)
    vectors = runtime.encode(PROBES, definition.document_prompt)
    return float((_unit(vectors) * _unit(expected)).sum(axis=1).min())


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def export(definition: Definition, folder: Path) -> Record:
    """Export and measure in every precision that this CPU computes itself; a failure is recorded, not raised."""
    model = load_reference(definition, device="cpu")
    expected = model.encode(list(PROBES), prompt=definition.document_prompt, batch_size=1)
    try:
        convert(model, folder)
        precisions: tuple[Precision, ...] = ("f32", "bf16") if cpu_has_bf16() else ("f32",)
        cosines = {name: smallest_cosine(definition, folder, name, expected) for name in precisions}
    except (RuntimeError, ValueError, TypeError, KeyError, NotImplementedError) as error:
        return Record.current(cosines={}, failure=f"{type(error).__name__}: {error}"[:2000])
    return Record.current(cosines=cosines, failure=None)


def main() -> None:
    reference, cache_dir, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    definition = read_definition(resolve(reference, cache_dir=cache_dir))
    export(definition, folder).write(folder)


if __name__ == "__main__":
    main()
