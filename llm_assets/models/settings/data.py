"""What a model learns from and is examined on, in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from llm_assets.schema import Settings


class ExamplesSettings(Settings):
    """A file of examples: .jsonl, .json, .csv or .tsv."""

    path: str = Field(description="The file; a relative path starts at this file's folder.")
    base: Path | None = Field(default=None, description="Folder that a relative path starts at instead.")
    columns: dict[Literal["prompt", "completion", "messages", "text"], str] = Field(
        default_factory=dict, description="Where the file calls a column by another name, e.g. prompt: question."
    )


class CorpusExamplesSettings(Settings):
    """Examples made of a corpus' chunks. Templates may hold {text} {title} {folder} {uri} {headings} {language}."""

    corpus: str = Field(description="{{ ref('name') }} of a corpus of the same tenant.")
    prompt: str = Field(default="", description="Template; without it the model learns to write `completion` itself.")
    completion: str = Field(default="{text}", description="Template.")
    min_chars: int = Field(default=40, ge=0, description="Shorter chunks are left out.")
    per_document: int | None = Field(default=None, ge=1, description="Take only a document's first chunks.")


class DataSettings(Settings):
    """What the model learns from, and what it is examined on."""

    examples: ExamplesSettings | None = None
    corpus: CorpusExamplesSettings | None = None
    held_out: float = Field(default=0.15, gt=0, lt=1, description="Share of the examples that it is examined on.")
    duplicates_at: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="Prompts this similar (Jaccard, of characters) with one answer are one example.",
    )
    together_at: float = Field(
        default=0.6, gt=0, le=1, description="Prompts this similar are all trained on or all held out."
    )
    seed: int = Field(default=0, description="Another seed holds out other examples.")

    @model_validator(mode="after")
    def _some(self) -> DataSettings:
        if self.examples is None and self.corpus is None:
            raise ValueError("names no data; permitted: examples, corpus, or both")
        return self
