"""The schema of a fine-tune in YAML, one part a file."""

from llm_assets.models.settings.answers import AnswersSettings, InputsSettings
from llm_assets.models.settings.data import CorpusExamplesSettings, DataSettings, ExamplesSettings
from llm_assets.models.settings.evaluation import EvaluationSettings, SuiteSettings
from llm_assets.models.settings.fine_tune import FineTuneSettings, FineTuneSpec, FineTuneTests
from llm_assets.models.settings.gate import GateSettings
from llm_assets.models.settings.training import LoraSettings, Method, TrainingSettings

__all__ = [
    "AnswersSettings",
    "CorpusExamplesSettings",
    "DataSettings",
    "EvaluationSettings",
    "ExamplesSettings",
    "FineTuneSettings",
    "FineTuneSpec",
    "FineTuneTests",
    "GateSettings",
    "InputsSettings",
    "LoraSettings",
    "Method",
    "SuiteSettings",
    "TrainingSettings",
]
