"""kill -9 of the run, of Weaviate's server, and of both, while an index is built, changed and swapped.

    python -m benchmarks.weaviate_kill [--full] [--kills N]

The run is the project's own `vector_index.build` in a process of its own, on a real server of the benchmark's own.
By turns the corpus gets a new shape (a new collection is built, checked and swapped in) or changed documents (a
delta). The moment is random over the run's length, or right after the served pointer has moved. Each change, moment
and victim meet once in every twelve kills. Two readers ask all the while: the project's search, and a bare client by
the alias alone, as README says. An answer is wrong if its passages aren't all of one verified state, or miss more
than three of its ten nearest.
Default: 12 kills; --full: 50.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.chain import make_spec, write_documents
from benchmarks.common import ROOT, report
from benchmarks.weaviate_bare import search_served
from llm_assets.corpora import chunks, documents, embeddings, serving, vector_index
from llm_assets.corpora.chunks import chunks_table
from llm_assets.corpora.opening import open_chunker, open_source, open_store, parse_options
from resources.platform import Platform
from resources.profile import Profile
from resources.vector_index.errors import VectorIndexError
from resources.vector_index.weaviate_settings import ServerSettings

if TYPE_CHECKING:
    import numpy as np

    from llm_assets.corpora.settings import CorpusSpec
    from resources.weaviate_server import WeaviateServer

Way = Callable[["np.ndarray"], dict[str, str]]

DOCUMENTS, CHANGED = 60, 6
K, MISSES = 10, 3
PATIENCE = 300  # seconds of a run that nobody kills
EVERY = list(product(("build", "delta"), (True, False), ("run", "server", "both")))  # change, at the swap, victim


@dataclass(frozen=True)
class Content:
    """What the corpus holds at some time: row digests and texts by chunk, and the vectors in that order."""

    digests: dict[str, str]
    texts: dict[str, str]
    vectors: np.ndarray

    def explains(self, vector: np.ndarray, found: dict[str, str]) -> bool:
        """Whether an answer, texts by chunk, comes from this content, and from all of it."""
        if len(found) != K or not found.items() <= self.texts.items():
            return False
        ids = list(self.texts)
        nearest = {ids[place] for place in (-(self.vectors @ vector)).argsort()[:K]}
        return len(nearest - found.keys()) <= MISSES


@dataclass
class Answers:
    """What the readers saw; written by their threads, read at the end."""

    given: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def open_platform(folder: Path, settings: ServerSettings) -> Platform:
    return Platform(Profile(state_dir=folder / "state", index="weaviate", weaviate=settings))


def shaped(folder: Path, shape: int) -> CorpusSpec:
    """The corpus; another shape needs another collection."""
    return make_spec(folder, index={"weaviate": {"ef_construction": 64 + shape}})


def prepare(platform: Platform, spec: CorpusSpec) -> Content:
    """Everything before the index; returns what the index should hold."""
    import numpy as np

    documents.ingest(platform, spec, open_source(spec), parse_options(spec), workers=2)
    chunks.cut(platform, spec, open_chunker(platform, spec))
    with open_store(platform, spec) as store:
        embeddings.embed_corpus(platform, spec, store)
        table = chunks_table(platform, spec.tenant, spec.name)
        rows = [
            row
            for batch in table.scan(["chunk_id", "row_digest", "text", "text_digest"])
            for row in batch.to_pylist()
        ]
        vectors = store.get([row["text_digest"] for row in rows])
    return Content(
        {row["chunk_id"]: row["row_digest"] for row in rows},
        {row["chunk_id"]: row["text"] for row in rows},
        np.stack([vectors[row["text_digest"]] for row in rows]),
    )


def run(folder: Path, shape: int) -> None:
    """The process that is killed."""
    platform, spec = open_platform(folder, ServerSettings(retry_seconds=60)), shaped(folder, shape)
    chunker = open_chunker(platform, spec).fingerprint
    with open_store(platform, spec) as store:
        print("go", flush=True)
        built = vector_index.build(platform, spec, store, chunker=chunker, evaluate=None, gate=lambda metrics: [])
    if built.problems:
        sys.exit(f"not served: {built.problems}")


def started(folder: Path, shape: int) -> subprocess.Popen[str]:
    """A run, at the moment when it turns to the index."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.weaviate_kill", "--run", str(folder), str(shape)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as said:
        began = said.readline() == "go\n"
    if not began:
        process.kill()
        raise RuntimeError(f"the run ended with exit code {process.wait()} before it began")
    return process


class Readers:
    """Two threads that ask until told to stop, and judge each answer by the contents that may be served."""

    def __init__(self, folder: Path, spec: CorpusSpec, server: WeaviateServer, contents: list[Content]) -> None:
        self.answers = Answers()
        self._spec, self._server, self._contents = spec, server, contents
        self._platform = open_platform(folder, ServerSettings(retry_seconds=0, timeout_seconds=5))
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(name, way)) for name, way in self._ways().items()]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ways(self) -> dict[str, Way]:
        return {"search": self._by_search, "alias": self._by_alias}

    def _ask(self, name: str, way: Way) -> None:
        import grpc
        import httpx
        from weaviate.exceptions import WeaviateBaseError

        source = random.Random(name)
        while not self._stop.wait(0.05):
            allowed = self._contents[-2:]
            vector = allowed[-1].vectors[source.randrange(len(allowed[-1].vectors))]
            try:
                found = way(vector)
            except (VectorIndexError, WeaviateBaseError, httpx.TransportError, grpc.RpcError):
                continue  # no answer is no wrong answer
            except Exception as error:
                self.answers.wrong.append(f"{name}: {error!r}")
                continue
            self.answers.given[name] += 1
            allowed = [*allowed, *self._contents[-2:]]  # the next round may have begun meanwhile
            if not any(content.explains(vector, found) for content in allowed):
                self.answers.wrong.append(f"{name}: {len(found)} passages of no one state")

    def _served(self) -> serving.Served:
        now = serving.served(self._platform.state, self._spec.tenant, self._spec.name)
        assert now is not None
        return now

    def _by_search(self, vector: np.ndarray) -> dict[str, str]:
        index = self._platform.index(self._spec.tenant)
        hits = index.search(self._served().snapshot, vector=vector, mode="vector", k=K)
        return {hit.chunk_id: hit.text for hit in hits}

    def _by_alias(self, vector: np.ndarray) -> dict[str, str]:
        from resources.vector_index.weaviate_schema import ClassNames

        name = ClassNames(self._spec.tenant).alias(self._spec.name)
        with self._server.address.client() as client:
            found = search_served(client, name, vector.tolist(), K)
        return {str(item.properties["chunk_id"]): str(item.properties["text"]) for item in found}


class Campaign:
    """Rounds of change, kill, and a run that nobody disturbs."""

    def __init__(self, folder: Path, server: WeaviateServer, seed: int) -> None:
        self.folder, self.server, self.random = folder, server, random.Random(seed)
        self.platform = open_platform(folder, ServerSettings())
        self.shape, self.lasted, self.landed = 0, {"build": 2.0, "delta": 1.0}, Counter[str]()
        self.different: list[str] = []
        self.plan: list[tuple[str, bool, str]] = []
        write_documents(folder, DOCUMENTS)
        self.contents = [prepare(self.platform, self.spec)]
        self.undisturbed("build")

    @property
    def spec(self) -> CorpusSpec:
        return shaped(self.folder, self.shape)

    def undisturbed(self, kind: str) -> None:
        """A run to its end, and what it left."""
        process = started(self.folder, self.shape)
        begun = time.monotonic()
        code = process.wait(PATIENCE)
        self.lasted[kind] = time.monotonic() - begun
        if code:
            self.different.append(f"{kind}: the next run failed with exit code {code}")
        elif problem := self._difference():
            self.different.append(f"{kind}: {problem}")

    def round(self, number: int) -> None:
        """One change with one kill in it."""
        if not self.plan:
            self.plan = self.random.sample(EVERY, len(EVERY))
        kind, at_swap, victim = self.plan.pop()
        self._change(kind, number)
        before = serving.served(self.platform.state, self.spec.tenant, self.spec.name)
        process = started(self.folder, self.shape)
        self._await_moment(process, before, at_swap, self.random.uniform(0, 1.05 * self.lasted[kind]))
        alive = process.poll() is None
        self._kill(victim, process)
        moment = "at the swap" if at_swap else "in the middle" if alive else "after the end"
        self.landed[f"{victim}, {moment} of a {kind}"] += 1
        print(f"{number + 1:3} {kind}: killed {victim}{' at the swap' if at_swap else ''}", flush=True)
        self.undisturbed(kind)

    def _change(self, kind: str, number: int) -> None:
        if kind == "build":
            self.shape += 1
        else:
            for place in self.random.sample(range(DOCUMENTS), CHANGED):
                file = self.folder / "documents" / f"{place:05}.md"
                file.write_text(f"{file.read_text(encoding='utf-8')}\nAmended in round {number}.\n", encoding="utf-8")
        self.contents.append(prepare(self.platform, self.spec))

    def _await_moment(
        self, process: subprocess.Popen[str], before: serving.Served | None, at_swap: bool, delay: float
    ) -> None:
        deadline = time.monotonic() + (PATIENCE if at_swap else delay)
        while process.poll() is None and time.monotonic() < deadline:
            if at_swap and serving.served(self.platform.state, self.spec.tenant, self.spec.name) != before:
                return
            time.sleep(0.002)

    def _kill(self, victim: str, process: subprocess.Popen[str]) -> None:
        """A run whose server died goes on when the server is back, or fails; both are allowed."""
        if victim in ("run", "both"):
            process.kill()
        if victim in ("server", "both"):
            self.server.kill()
            self.server.start()
        process.wait(PATIENCE)

    def _difference(self) -> str:
        """Between what is there and what an undisturbed run leaves: empty if there is none."""
        index, spec = self.platform.index(self.spec.tenant), self.spec
        now = serving.served(self.platform.state, spec.tenant, spec.name)
        assert now is not None
        if index.row_digests(now.snapshot) != self.contents[-1].digests:
            return "other rows are served"
        if index.published(spec.name) != now.snapshot:
            return "the alias leads elsewhere"
        if problems := index.verify(now.snapshot, len(self.contents[-1].digests)).problems():
            return "; ".join(problems)
        kept = {entry.snapshot.collection for entry in serving.history(self.platform.state, spec.tenant, spec.name)}
        return "" if set(index.collections()) == kept else f"collections are left over: {index.collections()}"


def main() -> None:
    """Kill, look, kill again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="50 kills")
    parser.add_argument("--kills", type=int, help="so many kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(Path(options.run[0]), int(options.run[1]))
        return
    from resources.weaviate_server import WeaviateServer, provide_program

    kills = options.kills or (50 if options.full else 12)
    with tempfile.TemporaryDirectory() as name, WeaviateServer(provide_program(), Path(name) / "server") as server:
        at = server.address
        os.environ |= {
            "WEAVIATE_URL": at.url,
            "WEAVIATE_API_KEY": at.key or "",
            "WEAVIATE_GRPC_PORT": str(at.grpc_port),
        }
        campaign = Campaign(Path(name), server, options.seed)
        with Readers(Path(name), campaign.spec, server, campaign.contents) as readers:
            for number in range(kills):
                campaign.round(number)
    answers, different = readers.answers, campaign.different
    for problem in sorted({*answers.wrong, *different}):
        print(problem)
    details = {
        "kills": kills,
        "landed": dict(campaign.landed),
        "answers": dict(answers.given),
        "different": different,
    }
    holds = not answers.wrong and not different and min(answers.given[way] for way in ("search", "alias")) > 0
    goal = "= 0; every next run ends as an undisturbed one"
    report("weaviate_kill", len(answers.wrong), "answers not of one verified state", goal, holds, details)


if __name__ == "__main__":
    main()
