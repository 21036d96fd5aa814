"""Weaviate through this project against the bare client, on one server in one run: import, and a query.

    python -m benchmarks.weaviate_speed [--full]

The client imports with whichever of its ways is fastest here, from objects made beforehand; this project starts from
a corpus's record batches, and keeps its promises meanwhile. Imports alternate, in collections of their own. Queries
alternate one by one: in a fresh collection, and once more after a tenth of its rows were replaced.
Default: 3 × 10,000 rows; --full: 5 × 50,000. WEAVIATE_URL names a server to use instead of one of our own.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.clusters import Clusters
from benchmarks.common import paired, report, seconds
from benchmarks.weaviate_bare import Bare, best_batching, objects

if TYPE_CHECKING:
    import numpy as np
    from weaviate import WeaviateClient

    from resources.vector_index.weaviate import WeaviateIndex
    from resources.weaviate_server import Address

IMPORT_GOAL, QUERY_GOAL = 0.9, 1.1
TRIAL_ROWS, WARM_UP, QUESTIONS, K = 2000, 20, 300, 10
NAME = "speed"


@dataclass(frozen=True)
class Queries:
    """Milliseconds, medians."""

    ours: float
    bare: float

    @property
    def ratio(self) -> float:
        return self.ours / self.bare


@contextmanager
def server() -> Iterator[Address]:
    """WEAVIATE_URL, or a server of our own for as long as the benchmark runs."""
    from resources.weaviate_server import Address, WeaviateServer, provide_program

    if given := Address.from_environment():
        yield given
        return
    with tempfile.TemporaryDirectory() as folder, WeaviateServer(provide_program(), Path(folder)) as own:
        yield own.address


def open_index(address: Address, tenant: str) -> WeaviateIndex:
    """The project's index on that server."""
    from resources.vector_index.weaviate import WeaviateIndex
    from resources.vector_index.weaviate_connection import WeaviateConnection

    return WeaviateIndex(WeaviateConnection(address.url, address.grpc_port, api_key=address.key), tenant=tenant)


def imports(index: WeaviateIndex, client: WeaviateClient, clusters: Clusters, rows: int, rounds: int) -> dict:
    """Seconds of each round of both, and how the client batched."""
    from resources.vector_index import IndexSpec

    batches = list(clusters.batches(rows))
    prepared = objects(batches)
    batching, trials = best_batching(client, prepared[:TRIAL_ROWS])
    print(f"the client's fastest: {batching} of {trials}", flush=True)
    ours, bare = [], []

    def fill_ours() -> None:
        index.drop(NAME)
        empty = index.create(NAME, IndexSpec(clusters.vectors.shape[1]))
        ours.append(seconds(lambda: index.apply(NAME, empty, batches, [])))
        print(f"  this project {rows / ours[-1]:7.0f} objects/s", flush=True)

    def fill_bare() -> None:
        bare.append(Bare.make(client, "Bare", prepared[0][0]).fill(prepared, batching))
        print(f"  bare client  {rows / bare[-1]:7.0f} objects/s", flush=True)

    paired(fill_ours, fill_bare, rounds)
    return {"ours": ours, "bare": bare, "batching": str(batching), "trials": trials}


def queries(index: WeaviateIndex, client: WeaviateClient, questions: np.ndarray) -> Queries:
    """Ask both the same, in turns, each question twice: once each side is the first to ask it."""
    snapshot, bare = index.latest(NAME), Bare(client.collections.use("Bare"))
    assert snapshot is not None
    ours, theirs = [], []
    for vector in (*questions[:WARM_UP], *questions):
        own, other = paired(
            lambda v=vector: index.search(snapshot, vector=v, mode="vector", k=K),
            lambda v=vector: bare.search(v, K),
            2,
        )
        ours += own
        theirs += other
    return Queries(*(1000 * median(times[2 * WARM_UP :]) for times in (ours, theirs)))


def main() -> None:
    """Import and ask in turns."""
    full = "--full" in sys.argv
    rows, rounds = (50_000, 5) if full else (10_000, 3)
    clusters = Clusters.load()
    with server() as address, address.client() as client:
        index = open_index(address, "benchmark")
        found = imports(index, client, clusters, rows, rounds)
        fresh = queries(index, client, clusters.question_vectors[:QUESTIONS])
        index.apply(NAME, index.latest(NAME), clusters.batches(rows // 10, version=1), [])
        changed = queries(index, client, clusters.question_vectors[:QUESTIONS])
        index.drop(NAME)
        index.close()
        client.collections.delete("Bare")
    ratio = median(theirs / own for own, theirs in zip(found["ours"], found["bare"], strict=True))
    for what, times in (("fresh", fresh), ("after a change", changed)):
        print(f"query p50, {what}: this project {times.ours:.2f} ms, bare client {times.bare:.2f} ms")
    details = {
        "objects_per_second": round(rows / median(found["ours"])),
        "bare_objects_per_second": round(rows / median(found["bare"])),
        "bare_batching": found["batching"],
        "query_p50_ms": round(fresh.ours, 2),
        "bare_query_p50_ms": round(fresh.bare, 2),
        "query_ratio": round(fresh.ratio, 3),
        "query_ratio_after_change": round(changed.ratio, 3),
        "rows": rows,
        "rounds": rounds,
    }
    worst = max(fresh.ratio, changed.ratio)
    goal = f">= {IMPORT_GOAL} x the bare client's import, query p50 <= {QUERY_GOAL} x"
    holds = ratio >= IMPORT_GOAL and worst <= QUERY_GOAL
    report("weaviate_speed", round(ratio, 3), "x the bare client's objects/s", goal, holds, details)


if __name__ == "__main__":
    main()
