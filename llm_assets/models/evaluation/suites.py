"""What is asked: the held-out examples, and those of further files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llm_assets.models.contamination import Contamination, contamination_of
from llm_assets.models.evaluation.sides import Side, sides_of
from llm_assets.models.examples import Example, ExamplesError, read_examples
from llm_assets.models.settings.evaluation import HELD_OUT, WITHOUT_ANSWERS, SuiteSettings
from llm_assets.models.training_set import TRAIN

if TYPE_CHECKING:
    from pathlib import Path

    from llm_assets.models.fine_tune import Run
    from llm_assets.models.settings import EvaluationSettings, FineTuneSpec
    from resources.platform import Platform


@dataclass(frozen=True)
class Suite:
    """Examples that every model is asked.

    Attributes:
        name: `held_out`, or that of the YAML.
        metrics: what is measured, loss last.
        rows: example_id, prompt, completion, messages, origin, doc_id of each, in the order of their ids.
        available: examples that there are; `rows` may be fewer.
        left_out: metrics that need prompts, which these examples have not.
    """

    name: str
    metrics: tuple[str, ...]
    rows: list[dict[str, Any]]
    available: int
    left_out: tuple[str, ...] = ()

    @property
    def wants_answers(self) -> bool:
        """Whether the models have to write, or only to be shown the right answers."""
        return any(name not in WITHOUT_ANSWERS for name in self.metrics)


@dataclass(frozen=True)
class Examination:
    """All that is asked of a finished run, and of whom else.

    Attributes:
        folder: where answers are kept, of this fine-tune's models.
        run: the finished run.
        settings: of the evaluation.
        suites: held_out first.
        sides: the models, the tuned one last.
        trained: the prompts that were trained on.
        near_at: similarity from which two prompts are much alike.
        label: `tenant/name`, for messages.
    """

    folder: Path
    run: Run
    settings: EvaluationSettings
    suites: tuple[Suite, ...]
    sides: tuple[Side, ...]
    trained: list[str] = field(repr=False)
    near_at: float
    label: str

    @cached_property
    def contamination(self) -> dict[str, Contamination]:
        """Of each suite."""
        return {
            suite.name: contamination_of(
                self.trained, [(row["example_id"], _compared(row)) for row in suite.rows], self.near_at
            )
            for suite in self.suites
        }


def prepare(platform: Platform, run: Run, spec: FineTuneSpec, rows: Sequence[Mapping[str, Any]]) -> Examination:
    """Read the suites and find the models.

    Args:
        platform: where runs and promotions are.
        run: finished.
        spec: the fine-tune, with the evaluation settings of this run.
        rows: of the training set, both sides.

    Raises:
        ExamplesError: a suite's file is missing, empty or malformed, or has no prompts for a metric that it names.
    """
    settings = spec.settings.evaluation
    held_out = [dict(row) for row in rows if row["split"] == HELD_OUT]
    return Examination(
        folder=platform.runs(spec.tenant, spec.name) / "evaluations",
        run=run,
        settings=settings,
        suites=tuple(
            _suite(settings, one, held_out if one.name == HELD_OUT else _read(spec, one))
            for one in settings.all_suites
        ),
        sides=sides_of(platform, spec, run),
        trained=[_compared(row) for row in rows if row["split"] == TRAIN],
        near_at=spec.settings.data.together_at,
        label=spec.id,
    )


def suite_file(spec: FineTuneSpec, suite: SuiteSettings) -> Path:
    """The file of a suite that has one."""
    return (suite.base or spec.folder) / (suite.path or "")


def _read(spec: FineTuneSpec, suite: SuiteSettings) -> list[dict[str, Any]]:
    try:
        examples = read_examples(suite_file(spec, suite), suite.columns)
    except ExamplesError as error:
        raise ExamplesError(f"evaluation.suites, '{suite.name}': {error}") from None
    return list({example.example_id: _row(example) for example in examples}.values())


def _row(example: Example) -> dict[str, Any]:
    return asdict(example) | {"example_id": example.example_id}


def _suite(settings: EvaluationSettings, suite: SuiteSettings, rows: list[dict[str, Any]]) -> Suite:
    """All rows, or the first by digest."""
    chosen = sorted(rows, key=lambda row: row["example_id"])[: suite.max_examples or settings.max_examples]
    metrics, left_out = settings.metrics_of(suite), ()
    if not any(row["prompt"] for row in chosen):
        left_out = tuple(name for name in metrics if name not in WITHOUT_ANSWERS)
        metrics = tuple(name for name in metrics if name in WITHOUT_ANSWERS)
    if left_out and suite.metrics:
        raise ExamplesError(
            f"evaluation.suites, '{suite.name}': {left_out[0]} needs answers, and its examples have no prompts to "
            f"answer; permitted: {', '.join(WITHOUT_ANSWERS)}. Or give the file prompt and completion"
        )
    return Suite(suite.name, metrics, chosen, len(rows), left_out)


def _compared(row: Mapping[str, Any]) -> str:
    """The part of an example that must not be known before the examination: its prompt, else its text."""
    return row["prompt"] or row["completion"]
