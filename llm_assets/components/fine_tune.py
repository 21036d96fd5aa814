"""The component `FineTune`: a base model and data become a tuned, evaluated, promoted model."""

from __future__ import annotations

from typing import cast

import dagster as dg

from llm_assets.components.base import ConfigComponent
from llm_assets.configs import Fail
from llm_assets.models.corpus_examples import check_template
from llm_assets.models.examples import ExamplesError
from llm_assets.models.inputs import template_names
from llm_assets.models.settings import AnswersSettings, FineTuneSettings, FineTuneSpec
from llm_assets.models.training_set import ROW_COLUMNS


class FineTune(ConfigComponent):
    """A fine-tune of a base model, examined on held-out examples, promoted once it passes its gate."""

    settings_model = FineTuneSettings

    def check(self, fail: Fail) -> None:
        settings = self.spec.settings
        self.check_pool(fail, ("training", "pool"), settings.training.pool)
        if settings.training.next_pool is not None:
            self.check_pool(fail, ("training", "next_pool"), settings.training.next_pool)
        self.check_pool(fail, ("evaluation", "pool"), settings.evaluation.pool)
        for position, test in enumerate(settings.tests.training_set):
            column = getattr(test, "column", None)
            if column is not None and column not in ROW_COLUMNS:
                path = ("tests", "training_set", position, "column")
                raise fail(path, f"'training_set' has no column '{column}'; permitted: {', '.join(ROW_COLUMNS)}")
        measured = settings.evaluation.measured_names()
        for path, name in settings.gate.named:
            if name not in measured:
                raise fail(("gate", *path), f"'{name}' is not measured; measured: {', '.join(measured)}")
        figures = settings.evaluation.all_names()
        for position, figure in enumerate(settings.tests.evaluation):
            if figure.metric not in figures:
                path = ("tests", "evaluation", position, "metric")
                raise fail(path, f"'{figure.metric}' is not measured; permitted: {', '.join(figures)}")
        if settings.answers is not None:
            self._check_answers(fail, settings.answers)
        corpus = settings.data.corpus
        for name in ("prompt", "completion") if corpus else ():
            try:
                check_template(name, getattr(corpus, name))
            except ExamplesError as error:
                raise fail(("data", "corpus", name), str(error)) from None

    def _check_answers(self, fail: Fail, answers: AnswersSettings) -> None:
        self.check_pool(fail, ("answers", "pool"), answers.pool)
        try:
            if answers.inputs.corpus:
                check_template("prompt", answers.prompt)
            else:
                template_names(answers.prompt)
        except ExamplesError as error:
            raise fail(("answers", "prompt"), str(error)) from None

    @property
    def spec(self) -> FineTuneSpec:
        """What the assets are made from."""
        return FineTuneSpec(self.tenant, self.folder, cast("FineTuneSettings", self.settings))

    def build(self) -> dg.Definitions:
        from llm_assets.models.assets import fine_tune_definitions  # it needs this package's checks

        return fine_tune_definitions(self.spec)
