"""Judge what the models answered: scores of each example, levels of each model, paired differences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_assets.models.contamination import Contamination
from llm_assets.models.estimates import FEW, Estimate, Statistic, bootstrapped, macro_f1, mean, perplexity, share
from llm_assets.models.evaluation.asking import answers
from llm_assets.models.evaluation.sides import BASE, PROMOTED, TUNED, Side
from llm_assets.models.evaluation.suites import Examination, Suite
from llm_assets.models.fine_tune import UntrainedError
from llm_assets.models.scoring import SCORES, label, scored
from llm_assets.models.settings.evaluation import LOWER_IS_BETTER, WITHOUT_ANSWERS, metric_name

SHARES = ("accuracy", "exact_match")  # right or wrong: their levels have an interval of their own
GAINS = {BASE: "gain", PROMOTED: "gain_over_promoted"}


class EvaluationError(RuntimeError):
    """Answers that cannot be judged; the message says whose, and what to do."""


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes:
        version: of the tuned model.
        compared_with: the promoted version that was asked too, or None.
        rows: one a suite and example: answers, scores and losses of every model; see `storing.COLUMNS`.
        estimates: `<metric>` of the held-out examples and `<suite>.<metric>`, of the tuned model; the same with
            `base_` and `promoted_`; and, positive where the tuned model is better, with `_gain` over the base model
            and `_gain_over_promoted`.
        suites: examples of each suite that were asked.
        contamination: of each suite by the training examples.
        notes: what must be known beside the figures.
        incomparable: the promoted version, where it could not be asked or judged; a note says why.
    """

    version: str
    compared_with: str | None
    rows: list[dict[str, Any]]
    estimates: dict[str, Estimate]
    suites: dict[str, int]
    contamination: dict[str, Contamination]
    notes: tuple[str, ...]
    incomparable: str | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """The values alone."""
        return {name: estimate.value for name, estimate in self.estimates.items()}


def judge(examination: Examination) -> Evaluation:
    """Judge the answers that `ask` has kept.

    Raises:
        UntrainedError: there are none of the tuned or the base model.
        EvaluationError: the tuned or the base model gives no losses that are numbers.
    """
    sides, notes = _judgeable(examination)
    rows: list[dict[str, Any]] = []
    estimates: dict[str, Estimate] = {}
    names, version = [side.name for side in sides], examination.run.version
    for suite in examination.suites:
        judged = _judged(suite, {side.name: _required(examination, side, suite) for side in sides})
        estimates |= _estimates(suite, judged, names)
        rows += [{"version": version, **row} for row in judged]
        notes += [f"{suite.name}: {said}" for said in _notes_of(examination, suite, judged, names)]
    compared_with = _promoted_among(sides)
    return Evaluation(
        version=version,
        compared_with=compared_with,
        rows=rows,
        estimates=estimates,
        suites={suite.name: len(suite.rows) for suite in examination.suites},
        contamination=examination.contamination,
        notes=tuple(notes),
        incomparable=None if compared_with else _promoted_among(examination.sides),
    )


def _promoted_among(sides: Sequence[Side]) -> str | None:
    return next((side.version for side in sides if side.name == PROMOTED), None)


def _judgeable(examination: Examination) -> tuple[list[Side], list[str]]:
    """The models whose answers are there and are numbers. Without the promoted one the others are still judged."""
    found, notes = [], []
    for side in examination.sides:
        problem = _problem(examination, side)
        if problem is None:
            found.append(side)
        elif side.name == PROMOTED:
            notes.append(problem)
        else:
            raise EvaluationError(f"{examination.label}: {problem}")
    return found, notes


def _problem(examination: Examination, side: Side) -> str | None:
    """Why a model cannot be judged."""
    for suite in examination.suites:
        known = answers(examination, side, suite)
        if known is None:
            if side.unusable:
                return side.unusable
            continue
        broken = [example_id for example_id, row in known.items() if not math.isfinite(row["loss"])]
        if broken:
            return (
                f"the {side.name} model ({side.version}) gives {len(broken)} of the {len(known)} examples of "
                f"'{suite.name}' a loss that is not a number, {broken[0]} first: its weights are broken, or its "
                "numbers overflow; train again with a lower learning rate"
            )
    return None


def _required(examination: Examination, side: Side, suite: Suite) -> dict[str, dict[str, Any]]:
    found = answers(examination, side, suite)
    if found is None:
        raise UntrainedError(
            f"{examination.label}: version {side.version} was not examined on '{suite.name}'; "
            f"materialise {examination.label}/evaluation"
        )
    return found


def _judged(suite: Suite, found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    return [_row(suite, row, {side: known[row["example_id"]] for side, known in found.items()}) for row in suite.rows]


def _row(suite: Suite, row: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    judged: dict[str, Any] = {
        "row_id": f"{suite.name}/{row['example_id']}",
        "suite": suite.name,
        "example_id": row["example_id"],
        "doc_id": row["doc_id"],
        "expected": row["completion"],
        "tokens": found[TUNED]["tokens"],
    }
    for side, said in found.items():
        judged |= {f"{side}_answer": said["answer"], f"{side}_loss": said["loss"], f"{side}_tokens": said["tokens"]}
        given = {} if said["answer"] is None else scored(said["answer"], row["completion"], suite.metrics)
        judged |= {f"{side}_{name}": given.get(name) for name in SCORES}
    return judged


def _estimates(suite: Suite, rows: Sequence[Mapping[str, Any]], sides: Sequence[str]) -> dict[str, Estimate]:
    """Figures that need answers are of the examples that have a prompt, the others of all."""
    asked = [row for row in rows if row["tuned_answer"] is not None]
    of_answers = [name for name in suite.metrics if name not in WITHOUT_ANSWERS]
    of_losses = [name for name in suite.metrics if name in WITHOUT_ANSWERS]
    found = _compared(suite, asked, of_answers, sides) if asked else {}
    found |= _compared(suite, rows, of_losses, _of_one_tokenizer(rows, sides))
    return found


def _compared(
    suite: Suite, rows: Sequence[Mapping[str, Any]], names: Sequence[str], sides: Sequence[str]
) -> dict[str, Estimate]:
    levels = {_level(side, suite, name): _statistic(rows, name, side) for name in names for side in sides}
    differences = {
        f"{metric_name(suite.name, name)}_{GAINS[side]}": _order(suite, name, side)
        for name in names
        for side in sides
        if side != TUNED
    }
    exact = {
        _level(side, suite, name): share([row[f"{side}_{name}"] for row in rows])
        for name in names
        if name in SHARES
        for side in sides
    }
    return bootstrapped(levels, differences) | exact


def _order(suite: Suite, name: str, side: str) -> tuple[str, str]:
    """What is subtracted from what, so that more is better."""
    tuned, other = _level(TUNED, suite, name), _level(side, suite, name)
    return (other, tuned) if name in LOWER_IS_BETTER else (tuned, other)


def _level(side: str, suite: Suite, name: str) -> str:
    return f"{'' if side == TUNED else f'{side}_'}{metric_name(suite.name, name)}"


def _statistic(rows: Sequence[Mapping[str, Any]], name: str, side: str) -> Statistic:
    if name == "macro_f1":
        said = [label(row[f"{side}_answer"]) for row in rows]
        return macro_f1(said, [label(row["expected"]) for row in rows])
    if name in WITHOUT_ANSWERS:
        losses, tokens = [row[f"{side}_loss"] for row in rows], [row["tokens"] for row in rows]
        return perplexity(losses, tokens) if name == "perplexity" else mean(losses, tokens)
    return mean([row[f"{side}_{name}"] for row in rows])


def _of_one_tokenizer(rows: Sequence[Mapping[str, Any]], sides: Sequence[str]) -> list[str]:
    """Losses a token are only comparable where the tokens are the same."""
    return [side for side in sides if all(row[f"{side}_tokens"] == row["tokens"] for row in rows)]


def _notes_of(
    examination: Examination, suite: Suite, rows: Sequence[Mapping[str, Any]], sides: Sequence[str]
) -> Iterator[str]:
    dirt = examination.contamination[suite.name]
    if dirt.near or dirt.given_away:
        yield (
            f"{dirt.near} of {len(rows)} examples are also trained on, or much like one that is ({dirt.exact} the "
            f"very same), and {dirt.given_away} stand half in training examples: its figures are too good"
        )
    if len(rows) < FEW:
        yield f"{len(rows)} examples are few: the intervals of its differences are too narrow"
    if len(_of_one_tokenizer(rows, sides)) < len(sides):
        yield "the promoted model counts other tokens (tokenizer, chat template): losses a token are not compared"
    if suite.left_out:
        yield f"without prompts there are no answers: {', '.join(suite.left_out)} not measured"
    if suite.wants_answers and len({label(row["expected"]) for row in rows}) == 1 < len(rows):
        yield "all right answers are one and the same: always giving it scores full marks"
