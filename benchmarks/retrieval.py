"""Hybrid search against its halves, in Japanese and English, with one configuration and the bundled embedder.

    python -m benchmarks.retrieval [--full]

The whole chain runs on public sets with all their questions: parse, chunk, embed, index, evaluate. `--full` adds
both sets in one collection. Without the public sets the sample's documents and questions are measured.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.chain import make_platform, make_spec, run_chain
from benchmarks.common import ROOT, report, shared
from llm_assets.corpora import vector_index
from llm_assets.corpora.documents import known_documents
from llm_assets.corpora.opening import open_chunker, open_store
from llm_assets.corpora.retrieval import DEPTH, evaluate, read_evaluation_set, resolve
from llm_assets.corpora.settings import CorpusSpec
from resources.platform import Platform
from resources.vector_index import Hit, Mode, dense_trust

GOALS = {"retrieval-ja-jsquad": 0.92, "retrieval-en-xquad": 0.97}
BELOW_BEST_HALF = 0.01
MODES: tuple[Mode, ...] = ("text", "vector", "hybrid")
SAMPLE = ROOT / "dbt_like_configs" / "sample" / "legal"


@dataclass(frozen=True)
class Measured:
    """nDCG@10 by mode, and the median milliseconds of a hybrid search for ten hits, embedding left out."""

    ndcg: dict[str, float]
    p50_ms: float
    questions: int
    chunks: int

    @property
    def behind(self) -> float:
        """How far hybrid lies below the better of its halves."""
        return max(self.ndcg["text"], self.ndcg["vector"]) - self.ndcg["hybrid"]


def main() -> None:
    """Measure every set, print the table and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="also both sets in one collection")
    options = parser.parse_args()
    data = shared()
    with tempfile.TemporaryDirectory() as folder:
        measured = _public(Path(folder), data, options.full) if data else _sample(Path(folder))
    print(f"{'set':<34}{'questions':>10}{'text':>8}{'vector':>8}{'hybrid':>8}{'p50 ms':>8}")
    for name, found in measured.items():
        values = "".join(f"{found.ndcg[mode]:>8.4f}" for mode in MODES)
        print(f"{name:<34}{found.questions:>10}{values}{found.p50_ms:>8.1f}")
    _report(measured, GOALS if data else {})


def _public(folder: Path, data: Path, full: bool) -> dict[str, Measured]:
    measured = {}
    platform = make_platform(folder)
    for name in GOALS:
        spec = make_spec(folder, name=name.replace("-", "_"), source={"path": str(data / name)})
        measured[name] = _measure(platform, spec, [data / name])
    if full:
        both = folder / "both"
        for name in GOALS:
            _add(data / name, both, both / name)
        spec = make_spec(folder, name="both", source={"path": str(both)})
        for name in GOALS:
            measured[f"{name}, mixed"] = _measure(platform, spec, [both], questions=both / name)
    return measured


def _sample(folder: Path) -> dict[str, Measured]:
    print("the public sets are not beside this checkout: the sample's documents and questions instead")
    spec = make_spec(folder, source={"path": str(SAMPLE / "documents")})
    return {"sample": _measure(make_platform(folder), spec, [SAMPLE / "documents"], questions=SAMPLE / "evaluation")}


def _measure(platform: Platform, spec: CorpusSpec, roots: list[Path], *, questions: Path | None = None) -> Measured:
    run_chain(platform, spec)
    judged = read_evaluation_set(questions or roots[0])
    uris = [row["uri"] for row in known_documents(platform.state, spec.tenant, spec.name).values()]
    targets = resolve(judged, uris, [str(root) for root in roots])
    with open_store(platform, spec) as store:
        texts = [query.text for query in targets.queries]
        vectors = dict(zip(texts, store.queries(texts), strict=True))
        languages = store.embedder.languages
        collection = vector_index.collection_name(
            platform, spec, open_chunker(platform, spec).fingerprint, store.embedder.fingerprint
        )
    index = platform.index(spec.tenant)
    snapshot = index.latest(collection)
    assert snapshot is not None, f"{collection} was not built"

    def searching(mode: Mode, k: int = DEPTH) -> Callable[[str], list[Hit]]:
        return lambda text: index.search(
            snapshot,
            text=text,
            vector=vectors[text],
            mode=mode,
            k=k,
            dense_trust=dense_trust(text, languages),
        )

    ndcg = {mode: round(evaluate(searching(mode), targets).metrics["ndcg@10"], 4) for mode in MODES}
    return Measured(ndcg, _p50(searching("hybrid", k=10), texts), len(texts), index.count(snapshot))


def _p50(search: Callable[[str], list[Hit]], texts: list[str]) -> float:
    times = []
    for text in texts[:200]:
        started = time.perf_counter()
        search(text)
        times.append(1000 * (time.perf_counter() - started))
    return round(median(times), 2)


def _add(folder: Path, corpus: Path, questions: Path) -> None:
    """Add a set to a BEIR corpus of several: its document ids get its name in front, so do its judgements."""
    (questions / "qrels").mkdir(parents=True)
    (questions / "queries.jsonl").write_bytes((folder / "queries.jsonl").read_bytes())
    header, *rows = (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()
    judged = [row.replace("\t", f"\t{folder.name}.", 1) for row in rows]
    (questions / "qrels" / "test.tsv").write_text("\n".join([header, *judged]), encoding="utf-8")
    with (corpus / "corpus.jsonl").open("a", encoding="utf-8") as file:
        for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            file.write(json.dumps(row | {"_id": f"{folder.name}.{row['_id']}"}, ensure_ascii=False) + "\n")


def _report(measured: dict[str, Measured], goals: dict[str, float]) -> None:
    worst = max(found.behind for found in measured.values())
    holds = worst <= BELOW_BEST_HALF
    holds &= all(measured[name].ndcg["hybrid"] >= least for name, least in goals.items())
    first = next(iter(measured))
    wanted = " and ".join(f"{least:g} on {name}" for name, least in goals.items())
    goal = f"hybrid >= {wanted}; " if goals else ""
    goal += f"never more than {BELOW_BEST_HALF:g} below the better half"
    details: dict[str, object] = {
        name: {**vars(found), "behind_best_half": round(found.behind, 4)} for name, found in measured.items()
    }
    report("retrieval", measured[first].ndcg["hybrid"], f"nDCG@10, hybrid, {first}", goal, holds, details)


if __name__ == "__main__":
    main()
