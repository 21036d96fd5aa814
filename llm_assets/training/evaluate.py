"""Put suites of examples to models. Runs in a process of its own.

    python -m llm_assets.training.evaluate JOB.json RUN_FOLDER

A base model is loaded once for itself and for all adapters made for it: they are switched, and not merged, so that a
version gives the same answers beside whatever it is compared with. Models with weights of their own follow, one after
another. Each pair of model and suite is written as soon as it is done.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peft import PeftModel

from llm_assets.training import loading
from llm_assets.training.devices import loading_arguments
from llm_assets.training.encoding import Encoder
from llm_assets.training.examination import EvaluateJob, Question
from llm_assets.training.failure import told
from llm_assets.training.generation import SPARE_TOKENS, Examiner
from llm_assets.training.jobs import read_rows, write_rows
from llm_assets.training.leaving import leave
from llm_assets.training.reporting import Reporter, reporter

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def evaluate(job: EvaluateJob, report: Reporter) -> None:
    """Write the file of every question: loss, tokens and answer of each example."""
    loading.use_lease(job.threads)
    loading.quiet_libraries()
    for questions in in_loads(job.asked):
        subject = Subject(questions[0])
        for question in questions:
            subject.become(question)
            write_rows(Path(question.file), _asked(job, question, subject, report))


def in_loads(questions: list[Question]) -> Iterator[list[Question]]:
    """Those that one model in memory answers: the base model and its adapters together, in the order of the sides."""
    ordered = sorted(questions, key=lambda question: (_loaded(question), question.weights or "", question.suite))
    for _, members in groupby(ordered, key=_loaded):
        yield list(members)


class Subject:
    """A model in memory that becomes every model which a load serves: the base model first, then its adapters.

    Args:
        first: the first question of a load.

    Raises:
        WeightsError: tuned weights must not be loaded.
    """

    def __init__(self, first: Question) -> None:
        options = loading_arguments()
        self.model: PreTrainedModel | PeftModel
        self.tokenizer: PreTrainedTokenizerBase
        self._adapters: list[str] = []
        if first.weights and not _is_adapter(first.weights):
            self.model, self.tokenizer = loading.load_tuned(first.model, first.weights, **options)
        else:
            self.model = loading.load_model(first.model, options.pop("dtype"), **options)
            self.tokenizer = loading.load_tokenizer(first.model)
        self.model.eval()

    def become(self, question: Question) -> None:
        """Be the model that a question is put to."""
        if question.weights and _is_adapter(question.weights):
            if question.weights not in self._adapters:
                self._attach(question.model, question.weights)
            self.model.set_adapter(_adapter_name(self._adapters.index(question.weights)))
            self.model.eval()

    def _attach(self, base: str, weights: str) -> None:
        loading.check_made_for(base, Path(weights))
        name = _adapter_name(len(self._adapters))
        if isinstance(self.model, PeftModel):
            self.model.load_adapter(weights, name, autocast_adapter_dtype=False)
        else:
            self.model = PeftModel.from_pretrained(self.model, weights, name, autocast_adapter_dtype=False)
        self._adapters.append(weights)


def _asked(job: EvaluateJob, question: Question, subject: Subject, report: Reporter) -> list[dict[str, Any]]:
    """Losses, and answers where they are wanted; what has no prompt asks nothing, so it gets no answer."""
    rows = read_rows(Path(question.data))
    encoder = Encoder(subject.tokenizer, question.max_tokens, question.chat)
    examples = [encoder.encode(row) for row in rows]
    silent = {i for i, row in enumerate(rows) if not row["prompt"] or not question.answers}
    longest = max((len(one.completion) for i, one in enumerate(examples) if i not in silent), default=0)
    limit = job.max_new_tokens or longest + SPARE_TOKENS
    expected = [row["completion"] for row in rows]
    examiner = Examiner(subject.model, subject.tokenizer, examples, expected, job.batch, limit)
    label = f"{job.label}: {question.side} on {question.suite}"
    losses, followed = examiner.losses(lambda n: report.say(f"{label}: loss of {n} of {len(rows)} examples"))
    left = len(rows) - len(followed | silent)
    answers = examiner.answers(followed, lambda n: report.say(f"{label}: {n} of {left} answers written"), silent)
    return [
        {
            "example_id": row["example_id"],
            "tokens": len(example.completion),
            "loss": round(loss, 6),
            "answer": answer if question.answers and row["prompt"] else None,
        }
        for row, example, loss, answer in zip(rows, examples, losses, answers, strict=True)
    ]


def _loaded(question: Question) -> str:
    """The weights that have to be in memory: those of a base model, or all of a tuned one."""
    return str(question.weights) if question.weights and not _is_adapter(question.weights) else question.model


def _is_adapter(weights: str) -> bool:
    return loading.read_provenance(Path(weights))["method"] != "full"


def _adapter_name(position: int) -> str:
    return f"adapter_{position}"


if __name__ == "__main__":
    job_file, run_folder = map(Path, sys.argv[1:])
    with told(run_folder), reporter() as reporting:
        evaluate(EvaluateJob.read(job_file), reporting)
    leave()
