"""Two buckets of a corpus in two processes against one in one: from the files to the embeddings.

    python -m benchmarks.buckets [--full]

Each process has one parser worker and one thread. Beside it, without those limits: two processes at once must not be
much slower than one that has the machine for itself. Default: 300 documents, 3 pairs; --full: 600, 5.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.chain import make_platform, make_spec, write_documents
from benchmarks.common import ROOT, paired, report
from llm_assets.corpora import chunks, documents, embeddings
from llm_assets.corpora.buckets import Buckets
from llm_assets.corpora.chunks import chunks_version
from llm_assets.corpora.opening import open_chunker, open_source, open_store, parse_options
from resources.digests import digest

GOAL, SLOWER_AT_MOST = 1.6, 1.1


def work(folder: Path, count: int, number: int, limited: bool) -> None:
    """One process: a bucket from its files to its vectors."""
    platform = make_platform(folder, workers=1 if limited else None)
    spec, buckets = (
        make_spec(folder, embedder={"threads": 1} if limited else {}),
        Buckets.of_keys(count, [str(number)]),
    )
    workers = platform.profile.parser_workers
    documents.ingest(platform, spec, open_source(spec), parse_options(spec), workers=workers, buckets=buckets)
    chunks.cut(platform, spec, open_chunker(platform, spec), buckets=buckets)
    with open_store(platform, spec) as store:
        embeddings.embed_corpus(platform, spec, store, buckets=buckets)


def run(folder: Path, count: int, limited: bool) -> str:
    """All buckets at once on an empty state, the models' conversions kept. Returns a digest of what came out."""
    state, kept = folder / "state", folder / "cache"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    (state / "cache").symlink_to(kept)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.buckets", "--work", str(folder), str(count)]
    environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if limited else {})}
    processes = [
        subprocess.Popen([*command, str(number), str(int(limited))], cwd=ROOT, env=environment)
        for number in range(count)
    ]
    if any(process.wait() for process in processes):
        raise RuntimeError("a bucket failed")
    return _result(folder)


def _result(folder: Path) -> str:
    """Names the passages, and of which texts there are vectors: each once."""
    platform, spec = make_platform(folder), make_spec(folder)
    with open_store(platform, spec) as store:
        embedded = sorted(store.table.column("text_digest"))
    return digest(chunks_version(platform.state, spec.tenant, spec.name), *embedded)


def compare(folder: Path, limited: bool, repeats: int) -> tuple[float, set[str]]:
    """How many times as fast two buckets are as one, and what came out."""
    results: set[str] = set()
    two, one = paired(
        lambda: results.add(run(folder, 2, limited)), lambda: results.add(run(folder, 1, limited)), repeats
    )
    print(f"{'one worker, one thread each' if limited else 'no limits'}: two {two}, one {one}", flush=True)
    return median(b / a for a, b in zip(two, one, strict=True)), results


def main(full: bool) -> None:
    """Both comparisons."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_documents(folder, 600 if full else 300)
        (folder / "cache").mkdir()
        run(folder, 1, limited=False)  # converts the models
        repeats = 5 if full else 3
        limited, results = compare(folder, True, repeats)
        free, others = compare(folder, False, repeats)
    same = len(results | others) == 1
    holds = limited >= GOAL and 1 / free <= SLOWER_AT_MOST and same
    goal = f">= {GOAL}; without limits at most {SLOWER_AT_MOST} x the time of one; equal results"
    details = {"without_limits": round(free, 3), "equal_results": same, "documents": 600 if full else 300}
    report("buckets", round(limited, 3), "x one bucket, one worker and thread each", goal, holds, details)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--work", folder, count, number, limited]:
            work(Path(folder), int(count), int(number), limited == "1")
        case arguments:
            main("--full" in arguments)
