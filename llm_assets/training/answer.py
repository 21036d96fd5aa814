"""Put prompts to a tuned model. Runs in a process of its own.

    python -m llm_assets.training.answer JOB.json RUN_FOLDER

The answers, one row a prompt, are appended to RUN_FOLDER/answers.jsonl batch by batch: a killed process loses one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_assets.training import loading
from llm_assets.training.answer_job import ANSWERS, AnswerJob
from llm_assets.training.devices import loading_arguments
from llm_assets.training.encoding import Encoded, Encoder
from llm_assets.training.failure import told
from llm_assets.training.generation import Examiner
from llm_assets.training.jobs import read_rows
from llm_assets.training.leaving import leave
from llm_assets.training.reporting import Reporter, reporter

BATCHES = 4  # of like length, written together


def answer(job: AnswerJob, run: Path, report: Reporter) -> None:
    """Append to `RUN_FOLDER/answers.jsonl` what the model writes after each prompt."""
    loading.use_lease(job.threads)
    loading.quiet_libraries()
    model, tokenizer = loading.load_tuned(job.model, job.weights, **loading_arguments())
    encoder = Encoder(tokenizer, job.max_tokens, job.chat)
    rows = read_rows(Path(job.data))
    examples = [encoder.encode({"prompt": row["prompt"], "completion": "", "messages": None}) for row in rows]
    expected = ["" if job.one_line else "one\ntwo"]  # whether an answer ends with its line
    done = 0
    with (run / ANSWERS).open("a", encoding="utf-8") as lines:
        for part in _alike(examples, job.batch * BATCHES):
            chosen = [examples[i] for i in part]
            examiner = Examiner(model.eval(), tokenizer, chosen, expected, job.batch, job.max_new_tokens)
            said = examiner.answers(set(), lambda _: None)
            _append(lines, ({"key": rows[i]["key"], "answer": text} for i, text in zip(part, said, strict=True)))
            done += len(part)
            report.say(f"{job.label}: {done} of {len(rows)} prompts answered")


def _alike(examples: list[Encoded], size: int) -> Iterator[list[int]]:
    """Positions in parts of like length, longest first: what does not fit into memory fails at once."""
    order = sorted(range(len(examples)), key=lambda i: (-len(examples[i]), i))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _append(lines: Any, rows: Iterator[dict[str, str]]) -> None:
    lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    lines.flush()
    os.fsync(lines.fileno())


if __name__ == "__main__":
    job_file, run_folder = map(Path, sys.argv[1:])
    with told(run_folder), reporter() as reporting:
        answer(AnswerJob.read(job_file), run_folder, reporting)
    leave()
