"""100,000 vectors of 384 dimensions, clustered as real embeddings are: build, recall@10 and p50 of both backends.

    python -m benchmarks.index_100k [--full] [--rows N]

Real questions are asked of Weaviate and of LanceDB, each through the project's index with its defaults, and compared
with exact search. Default: 500 questions; --full: all. The value is Weaviate's recall; LanceDB stands beside it.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.clusters import Clusters
from benchmarks.common import report, seconds
from benchmarks.weaviate_speed import open_index, server

if TYPE_CHECKING:
    import numpy as np

    from resources.vector_index import VectorIndex

ROWS, QUESTIONS, K = 100_000, 500, 10
GOAL = 0.98
NAME = "hundred_thousand"


@dataclass(frozen=True)
class Measured:
    """Of one backend: seconds to build, share of the exact ten nearest that were found, milliseconds of a search."""

    build_seconds: float
    recall: float
    p50_ms: float


def exact(vectors: np.ndarray, questions: np.ndarray) -> list[set[int]]:
    """The numbers of the rows nearest to each question."""
    import numpy as np

    nearest = []
    for part in np.array_split(questions, max(1, len(questions) // 100)):
        found = np.argpartition(-(part @ vectors.T), K, axis=1)[:, :K]
        nearest += [set(map(int, row)) for row in found]
    return nearest


def measure(
    index: VectorIndex, clusters: Clusters, rows: int, questions: np.ndarray, nearest: list[set[int]]
) -> Measured:
    """Build, then ask one question after the other."""
    from resources.vector_index import IndexSpec

    empty = index.create(NAME, IndexSpec(clusters.vectors.shape[1]))
    build = seconds(lambda: index.apply(NAME, empty, clusters.batches(rows), []))
    snapshot = index.latest(NAME)
    assert snapshot is not None
    assert index.count(snapshot) == rows
    index.search(snapshot, vector=questions[0], mode="vector", k=K)  # opens what is opened once
    found, took = 0, []
    for vector, expected in zip(questions, nearest, strict=True):
        hits = []
        took.append(
            seconds(lambda v=vector, to=hits: to.extend(index.search(snapshot, vector=v, mode="vector", k=K)))
        )
        # `clusters.chunk` numbers documents by ten rows, and their passages within.
        numbers = {int(hit.uri.rsplit("-", 1)[1].removesuffix(".md")) * 10 + hit.ordinal for hit in hits}
        found += len(numbers & expected)
    index.drop(NAME)
    return Measured(round(build, 1), round(found / (K * len(questions)), 4), round(1000 * median(took), 2))


def main() -> None:
    """Build in both, compare with exact search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all questions")
    parser.add_argument("--rows", type=int, default=ROWS, help="so many vectors instead")
    options = parser.parse_args()
    from resources.vector_index.lancedb import LanceIndex

    clusters = Clusters.load()
    questions = clusters.question_vectors[: None if options.full else QUESTIONS]
    nearest = exact(clusters.make(options.rows)[0], questions)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        found["lancedb"] = measure(LanceIndex(Path(folder)), clusters, options.rows, questions, nearest)
        print(f"LanceDB   {found['lancedb']}", flush=True)
    with server() as address:
        index = open_index(address, "benchmark")
        found["weaviate"] = measure(index, clusters, options.rows, questions, nearest)
        index.close()
        print(f"Weaviate  {found['weaviate']}", flush=True)
    recall = found["weaviate"].recall
    details = {name: asdict(each) for name, each in found.items()}
    details |= {"rows": options.rows, "questions": len(questions), "real_vectors": len(clusters.texts)}
    report("index_100k", recall, "recall@10 of Weaviate", f">= {GOAL}", recall >= GOAL, details)


if __name__ == "__main__":
    main()
