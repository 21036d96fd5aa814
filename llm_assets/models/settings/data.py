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


class DatasetSettings(Settings):
    """Examples of a `datasets` data set: a name on a hub, or a local folder or file. Its code is never run."""

    name: str = Field(description="imdb, org/name; or a path: ./folder, ./file.parquet, /data/set.")
    subset: str | None = Field(default=None, description="The configuration, where a set has several.")
    split: str = "train"
    revision: str | None = Field(default=None, description="Of a set on a hub, which changes: tag or commit. Needed.")
    columns: dict[Literal["prompt", "completion", "messages", "text"], str] = Field(
        default_factory=dict, description="Where the set calls a column by another name, e.g. prompt: question."
    )

    @property
    def local(self) -> bool:
        """Whether it is a path."""
        return self.name.startswith((".", "/"))

    @model_validator(mode="after")
    def _pinned(self) -> DatasetSettings:
        if not self.local and self.revision is None:
            raise ValueError(
                f"data set '{self.name}' needs a revision: a tag or a commit, or it changes under the training; "
                "a local one is written ./path"
            )
        return self


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
    dataset: DatasetSettings | None = None
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
        if self.examples is None and self.dataset is None and self.corpus is None:
            raise ValueError("names no data; permitted: examples, dataset, corpus, or several of them")
        return self
