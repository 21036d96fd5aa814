"""What the promoted model is asked, in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from llm_assets.schema import Settings


class InputsSettings(Settings):
    """The rows that are asked about: of a file, or the passages of a corpus."""

    path: str | None = Field(
        default=None,
        description="File: .jsonl, .json, .csv, .tsv or .parquet; a relative path starts at this folder.",
    )
    base: Path | None = Field(default=None, description="Folder that a relative path starts at instead.")
    corpus: str | None = Field(default=None, description="{{ ref('name') }} of a corpus of the same tenant.")
    key: str | None = Field(
        default=None,
        description="Column of a file that names a row; by default its prompt does, and equal ones are one.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.path is None) == (self.corpus is None):
            raise ValueError("names one of path and corpus: where the rows are that the model is asked about")
        if self.corpus and self.key:
            raise ValueError("key is a column of a file; the passages of a corpus have names already")
        return self


class AnswersSettings(Settings):
    """Batch inference with the promoted model: a table of inputs becomes a table of answers."""

    inputs: InputsSettings
    prompt: str = Field(
        description="Template; it may hold the columns of the file in braces, or for a corpus {text} {title} "
        "{folder} {uri} {headings} {language}."
    )
    max_new_tokens: int = Field(default=64, ge=1, description="Longest answer.")
    one_line: bool = Field(default=False, description="An answer ends after its first line.")
    batch: int = Field(default=16, ge=1, description="Prompts at once in memory.")
    pool: str = Field(default="evaluate", description="Pool of accelerators.yml: what answering asks for.")

    @property
    def decisive(self) -> dict[str, object]:
        """What decides an answer beside prompt and model."""
        return self.model_dump(include={"max_new_tokens", "one_line"})
