"""The chain of a corpus as plain calls, on folders of text that a benchmark makes."""

from __future__ import annotations

import random
import time
from pathlib import Path

from benchmarks.common import shared
from llm_assets.corpora import chunks, documents, embeddings, vector_index
from llm_assets.corpora.opening import open_chunker, open_source, open_store, parse_options
from llm_assets.corpora.settings import CorpusSettings, CorpusSpec
from resources.platform import Platform
from resources.profile import Profile

WORDS = """
supplier buyer delivery notice payment invoice warranty liability term clause party agreement service fee
premises tenant landlord deposit interest default remedy breach damages audit data privacy employee policy
approval manager schedule annex price quality inspection acceptance goods order shipment insurance risk
""".split()  # noqa: SIM905 - a list of so many literals is no easier to read


def make_platform(folder: Path, workers: int | None = None) -> Platform:
    """A platform of its own below a folder."""
    return Platform(Profile(state_dir=folder / "state", workers=workers))


def make_spec(folder: Path, **settings: object) -> CorpusSpec:
    """A corpus over `folder/documents`."""
    values = {"name": "bench", "source": {"path": "documents"}, **settings}
    return CorpusSpec("bench", folder, CorpusSettings.model_validate(values))


def write_documents(folder: Path, count: int, seed: int = 0, paragraphs: int = 6) -> None:
    """`count` Markdown documents of real paragraphs, in English and Japanese, or of words where there are none."""
    generator = random.Random(seed)
    texts = _paragraphs() or [_sentence(generator) for _ in range(500)]
    target = folder / "documents"
    target.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picked = generator.choices(texts, k=paragraphs)
        # A line of its own in every paragraph: repeated paragraphs must not become one text that is embedded once.
        body = "\n\n".join(f"{text} ({number}.{place})" for place, text in enumerate(picked))
        (target / f"{number:05}.md").write_text(f"# Document {number}\n\n{body}\n", encoding="utf-8")


def run_chain(platform: Platform, spec: CorpusSpec) -> dict[str, float]:
    """Documents, chunks, embeddings, index: one after the other. Returns seconds by stage, and counts."""
    seconds: dict[str, float] = {}
    started = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal started
        seconds[stage], started = time.perf_counter() - started, time.perf_counter()

    workers = platform.profile.parser_workers
    ingested = documents.ingest(platform, spec, open_source(spec), parse_options(spec), workers=workers)
    lap("documents")
    chunker = open_chunker(platform, spec)
    cut = chunks.cut(platform, spec, chunker)
    lap("chunks")
    with open_store(platform, spec) as store:
        embedded = embeddings.embed_corpus(platform, spec, store)
        lap("embeddings")
        built = vector_index.build(
            platform, spec, store, chunker=chunker.fingerprint, evaluate=None, gate=lambda metrics: []
        )
        lap("vector_index")
    counts = {"parsed": ingested.parsed, "cut": cut.documents_cut, "embedded": embedded.embedded}
    return {**seconds, **counts, "upserted": built.upserted, "deleted": built.deleted}


def _paragraphs() -> list[str]:
    """Passages of the public sets beside the checkout, if there are any."""
    import json

    folder = shared()
    files = (
        [folder / name / "corpus.jsonl" for name in ("retrieval-en-xquad", "retrieval-ja-jsquad")] if folder else []
    )
    return [json.loads(line)["text"] for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def _sentence(generator: random.Random) -> str:
    return " ".join(
        " ".join(generator.choices(WORDS, k=generator.randint(8, 18))).capitalize() + "."
        for _ in range(generator.randint(3, 7))
    )
