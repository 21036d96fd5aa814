"""Put the suites to the models, in a process of its own; what a model was asked before, it is not asked again.

Answers lie in `<fine-tune>/evaluations/<version>/<suite digest>.jsonl`, so a base or promoted model is asked once,
however many versions are compared with it. They may hold words of documents: `forget` removes the whole folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_assets.models.children import run_job
from llm_assets.models.evaluation.sides import Side
from llm_assets.models.evaluation.suites import Examination, Suite
from llm_assets.training.examination import EvaluateJob, Question
from llm_assets.training.jobs import read_rows, write_rows
from resources import processes
from resources.digests import digest_json

if TYPE_CHECKING:
    from llm_assets.models.fine_tune import Each
    from resources.processes import Start

EVALUATOR_VERSION = "2"  # part of the key: raise it when the same models would give other answers
KEY_CHARS = 16
WORK = "work"
ASKED = ("example_id", "prompt", "completion", "messages")


def pending(examination: Examination) -> list[tuple[Side, Suite]]:
    """Who has still to be asked what."""
    return [
        (side, suite)
        for side in examination.sides
        for suite in examination.suites
        if not side.unusable and not answers_file(examination, side, suite).exists()
    ]


def ask(examination: Examination, *, start: Start = processes.start, each: Each = lambda: None) -> None:
    """Put to the models what is pending, and keep their answers. After a kill it goes on with the next pair.

    Args:
        examination: from `prepare`.
        start: starts the process: a lease's, or `processes.start`.
        each: called while it runs.

    Raises:
        TrainingError: the process failed.
    """
    work = examination.folder / WORK
    work.mkdir(parents=True, exist_ok=True)
    job = _job(examination, work)
    job.write(work / "job.json")
    module = "llm_assets.training.evaluate"
    try:
        run_job(
            module,
            work / "job.json",
            work,
            threads=job.threads,
            start=start,
            each=each,
            less="lower evaluation.batch",
        )
    finally:
        for copy in work.glob("*data.jsonl*"):  # the text lives in the training set and the suites' files only
            copy.unlink()


def answers(examination: Examination, side: Side, suite: Suite) -> dict[str, dict[str, Any]] | None:
    """What a model answered, by example_id: `answer`, `loss`, `tokens`. None where it was not asked."""
    file = answers_file(examination, side, suite)
    return {row["example_id"]: row for row in read_rows(file)} if file.exists() else None


def answers_file(examination: Examination, side: Side, suite: Suite) -> Path:
    """Keyed by what determines the answers."""
    ids = [row["example_id"] for row in suite.rows]
    how = [suite.wants_answers, examination.settings.max_new_tokens, side.max_tokens, side.chat]
    key = digest_json([EVALUATOR_VERSION, ids, how])[:KEY_CHARS]
    return examination.folder / side.version[:KEY_CHARS] / f"{key}.jsonl"


def _job(examination: Examination, work: Path) -> EvaluateJob:
    return EvaluateJob(
        questions=[question.__dict__ for question in _questions(examination, work)],
        batch=examination.settings.batch,
        max_new_tokens=examination.settings.max_new_tokens,
        threads=examination.run.settings.threads,
        label=examination.label,
    )


def _questions(examination: Examination, work: Path) -> Iterator[Question]:
    for side, suite in pending(examination):
        data = work / f"{suite.name}.data.jsonl"
        if not data.exists():
            write_rows(data, [{name: row[name] for name in ASKED} for row in suite.rows])
        answers_file(examination, side, suite).parent.mkdir(parents=True, exist_ok=True)
        yield Question(
            side=side.name,
            suite=suite.name,
            model=str(side.base),
            weights=str(side.weights) if side.weights else None,
            data=str(data),
            max_tokens=side.max_tokens,
            chat=side.chat,
            answers=suite.wants_answers,
            file=str(answers_file(examination, side, suite)),
        )
