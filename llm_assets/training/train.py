"""Tune a model. Runs in a process of its own, which holds the devices; several such train one model together.

    python -m llm_assets.training.train JOB.json RUN_FOLDER

It is transformers' Trainer rather than TRL's SFTTrainer: on a CPU the latter computes logits at every position,
also where there is nothing to learn (full logits cost a sixth of the speed on SmolLM2-135M), and the order of the
data is planned beforehand in any case.
The result lies in RUN_FOLDER/adapter or RUN_FOLDER/model, sealed; checkpoints beside it let a killed training go on
where it was.
"""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from llm_assets.training import devices, loading
from llm_assets.training.checkpoints import latest_whole
from llm_assets.training.course import Course, CourseError, plan_course
from llm_assets.training.disk import disk_full_said
from llm_assets.training.encoding import Encoder
from llm_assets.training.failure import at_step, told
from llm_assets.training.jobs import TrainJob, read_rows, result_folder
from llm_assets.training.leaving import leave
from llm_assets.training.methods import trainable, wants_checkpointing
from llm_assets.training.reporting import METRICS, Reporter, reporter
from llm_assets.training.result import best_step, keep_result, summarise
from llm_assets.training.trainer import TuningTrainer, clear_pending, make_trainer, patience_of
from llm_assets.training.watch import Watch

if TYPE_CHECKING:
    from llm_assets.training.methods import TrainedModel

STOPPED = 128 + signal.SIGTERM


class TrainingStopped(SystemExit):
    """The training was told to stop, and has left a whole checkpoint."""


def train(job: TrainJob, run: Path, report: Reporter) -> None:
    """Train, or go on training, until the result is whole."""
    here, settings = devices.here(), dict(job.settings)
    loading.use_lease(job.threads)
    loading.quiet_libraries()
    seed_everything(settings["seed"])
    tokenizer = loading.load_tokenizer(job.model)
    check_context(job)
    course = plan_course(
        read_rows(Path(job.data)), Encoder(tokenizer, settings["max_tokens"], settings["chat"]), settings
    )
    micro, _ = here.split(settings["batch"], settings["micro_batch"])
    settings["gradient_checkpointing"] = wants_checkpointing(
        settings["gradient_checkpointing"], course.most_tokens(micro), job.kept_tokens
    )
    model = trainable(job.model, settings, here.kind, narrow=loading.has_bf16() and not here.sharded)
    report.say(_intention(job, course, model))
    watch = Watch(course, report, job.label, here, patience_of(settings))
    trainer = make_trainer(settings, run, model, course, loading.token_id(tokenizer, "pad"), watch, here)
    if here.leads:
        clear_pending(run)
    checkpoint = here.decided(lambda: _resume(run, report))
    with at_step(lambda: watch.step + 1):
        trainer.train(resume_from_checkpoint=checkpoint)
    if watch.stopped:
        raise TrainingStopped(STOPPED)
    with disk_full_said(run / "pending", "the result"):
        _finish(trainer, run, job, course, watch)


def seed_everything(seed: int) -> None:
    """Every source of chance; refuse operations that are not the same each time where torch knows them."""
    random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Costs time, and only shows a library's mistakes.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]


def check_context(job: TrainJob) -> None:
    """Refuse examples that would be longer than what the model can read.

    Raises:
        CourseError: max_tokens is more than the model's context.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(job.model, trust_remote_code=False, local_files_only=True)
    context = getattr(config.get_text_config(), "max_position_embeddings", None)
    if context is not None and job.settings["max_tokens"] > context:
        raise CourseError(
            f"{job.label}: training.max_tokens is {job.settings['max_tokens']}, and {job.reference} reads {context} "
            f"tokens at most; set max_tokens to {context} or less"
        )


def _resume(run: Path, report: Reporter) -> str | None:
    checkpoint = latest_whole(run / "checkpoints", report.say)
    if checkpoint is None:
        (run / METRICS).unlink(missing_ok=True)
        return None
    report.say(f"going on from {checkpoint.name}")
    return str(checkpoint)


def _finish(trainer: TuningTrainer, run: Path, job: TrainJob, course: Course, watch: Watch) -> None:
    here, best = devices.here(), best_step(trainer, job.settings)
    written = run / "pending" / result_folder(job.settings["method"])
    trainer.save_model(str(written))
    if here.leads:
        summarise(trainer, run, watch, course, here, best)
        keep_result(written, run, job, trainer.state.global_step, best)


def _intention(job: TrainJob, course: Course, model: TrainedModel) -> str:
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    left_out = f"; {course.shortened} prompts and {course.cut} answers are too long and lose a part"
    return (
        f"{job.label}: {job.settings['method']} on {course.examples} examples, {course.tokens_until()[-1]} tokens in "
        f"{course.steps} steps of {course.batch}, {trained / 1e6:.1f} M trained weights, "
        f"{torch.get_num_threads()} threads{left_out if course.shortened or course.cut else ''}"
    )


if __name__ == "__main__":
    job_file, run_folder = map(Path, sys.argv[1:])
    try:
        with told(run_folder), reporter(run_folder / METRICS) as reporting:
            train(TrainJob.read(job_file), run_folder, reporting)
    except TrainingStopped:
        leave(STOPPED)
    if devices.here().kind != "xla":  # which has to give its chip back
        leave()
