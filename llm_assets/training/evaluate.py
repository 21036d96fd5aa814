"""Examine the base model and the tuned model on the held-out examples. Runs in a process of its own.

    python -m llm_assets.training.evaluate JOB.json RUN_FOLDER

The base model is loaded once: it is the tuned one with its adapter switched off.
The result, one row an example, lies in RUN_FOLDER/answers.jsonl.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from llm_assets.training import loading
from llm_assets.training.encoding import Encoded, Encoder
from llm_assets.training.failure import told
from llm_assets.training.generation import Examiner
from llm_assets.training.jobs import EvaluateJob, read_rows, write_rows
from llm_assets.training.reporting import Reporter, reporter

ANSWERS = "answers.jsonl"
SIDES = ("base", "tuned")


def evaluate(job: EvaluateJob, run: Path, report: Reporter) -> None:
    """Write `RUN_FOLDER/answers.jsonl`: each row's loss and answer from both models."""
    loading.use_lease(job.threads)
    loading.quiet_libraries()
    tokenizer = loading.load_tokenizer(job.model)
    rows = read_rows(Path(job.data))
    encoder = Encoder(tokenizer, job.max_tokens, job.chat)
    examples = [encoder.encode(row) for row in rows]
    model = _load(job)
    examiner = Examiner(
        model,
        tokenizer,
        examples,
        [row["completion"] for row in rows],
        job.settings["batch"],
        job.settings["max_new_tokens"],
    )
    found = {side: _examine(side, examiner, model, rows, f"{job.label}: {side}", report) for side in SIDES}
    write_rows(run / ANSWERS, _rows(rows, examples, found))


def _load(job: EvaluateJob) -> PeftModel:
    dtype = torch.bfloat16 if loading.has_bf16() else torch.float32
    base = loading.load_model(job.model, dtype)
    model = PeftModel.from_pretrained(base, job.adapter, autocast_adapter_dtype=False)
    return model.eval()


def _examine(
    side: str, examiner: Examiner, model: PeftModel, rows: list[dict[str, Any]], label: str, report: Reporter
) -> tuple[list[float], list[str]]:
    """Losses and answers; what has no prompt asks nothing, so it gets no answer."""
    if side == "tuned":
        model.merge_adapter()
    with nullcontext() if side == "tuned" else model.disable_adapter():
        losses, followed = examiner.losses(lambda n: report.say(f"{label}: loss of {n} of {len(rows)} examples"))
        if not any(row["prompt"] for row in rows):
            return losses, [""] * len(rows)
        left = len(rows) - len(followed)
        answers = examiner.answers(followed, lambda n: report.say(f"{label}: {n} of {left} answers written"))
    return losses, [answer if row["prompt"] else "" for answer, row in zip(answers, rows, strict=True)]


def _rows(
    rows: list[dict[str, Any]],
    examples: Sequence[Encoded],
    found: dict[str, tuple[list[float], list[str]]],
) -> list[dict[str, Any]]:
    written = []
    for i, (row, example) in enumerate(zip(rows, examples, strict=True)):
        answers = {"example_id": row["example_id"], "tokens": len(example.completion)}
        for side, (losses, texts) in found.items():
            answers |= {f"{side}_loss": round(losses[i], 6), f"{side}_answer": texts[i]}
        written.append(answers)
    return written


if __name__ == "__main__":
    job_file, run_folder = map(Path, sys.argv[1:])
    with told(run_folder), reporter() as reporting:
        evaluate(EvaluateJob.read(job_file), run_folder, reporting)
