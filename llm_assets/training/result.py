"""The end of a training: its weights sealed with what they were made of, and its figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_assets.training import loading
from llm_assets.training.checkpoints import checkpoint_name, is_whole, put_aside, seal
from llm_assets.training.jobs import PROVENANCE, SUMMARY, TrainJob, result_folder, write_json
from llm_assets.training.memory import peak_bytes
from llm_assets.training.stopping import best_of

if TYPE_CHECKING:
    from llm_assets.training.course import Course
    from llm_assets.training.devices import Devices
    from llm_assets.training.trainer import TuningTrainer
    from llm_assets.training.watch import Watch


class BrokenCheckpoint(RuntimeError):
    """The checkpoint with the best weights is not whole any more."""


def best_step(trainer: TuningTrainer, settings: dict[str, Any]) -> int:
    """The step whose weights are the result: the last, or with early stopping that of the lowest loss."""
    early, last = settings["early_stopping"], trainer.state.global_step
    if not early:
        return last
    # Not 0: it may be over before it is measured.
    return best_of(trainer.state.log_history, early["min_delta"]).step or last


def keep_result(written: Path, run: Path, job: TrainJob, step: int, best: int) -> None:
    """Seal the result: with that, the training is finished.

    Args:
        written: the weights after the last step, with their configuration.
        run: the run directory.
        job: that was done.
        step: the last.
        best: the step whose weights are the result.

    Raises:
        BrokenCheckpoint: those of an earlier step are not whole; the checkpoints are put aside.
    """
    if best != step:
        _take_weights(run / "checkpoints", best, written)
    if job.settings["method"] == "full":
        loading.load_tokenizer(job.model).save_pretrained(str(written))
    else:
        _name_base(written / "adapter_config.json", job.reference)
    base_weights = loading.weights_digest(Path(job.model))
    made = {**job.provenance, "base_weights": base_weights, "steps": best, "seed": job.settings["seed"]}
    write_json(written / PROVENANCE, made)
    seal(written, run / result_folder(job.settings["method"]))


def summarise(trainer: TuningTrainer, run: Path, watch: Watch, course: Course, here: Devices, best: int) -> None:
    """Leave the training's figures."""
    arguments = trainer.args
    write_json(
        run / SUMMARY,
        {
            "steps": trainer.state.global_step,
            "steps_of_last_process": watch.steps,
            "best_step": best,
            "stopped_early": watch.stopped_early,
            "examples": course.examples,
            "validation": len(course.validation),
            "tokens": course.tokens_until()[trainer.state.global_step],
            "shortened": course.shortened,
            "cut": course.cut,
            "tokens_per_second": round(watch.tokens_per_second, 1),
            "bf16": arguments.bf16,
            "packed": "segments" in trainer.data_collator(list(course.pieces[:1])),
            "gradient_checkpointing": arguments.gradient_checkpointing,
            "tokens_at_once": course.most_tokens(arguments.per_device_train_batch_size),
            "micro_batch": arguments.per_device_train_batch_size,
            "accumulation": arguments.gradient_accumulation_steps,
            "devices": here.described(),
            "peak_memory_bytes": peak_bytes(),
        },
    )


def _take_weights(checkpoints: Path, step: int, written: Path) -> None:
    checkpoint = checkpoints / checkpoint_name(step)
    if not is_whole(checkpoint):
        put_aside(checkpoints)  # or the next attempt would go on from the last one, to the same end
        raise BrokenCheckpoint(
            f"the weights of step {step}, where the validation loss was lowest, are broken on the disk; "
            "materialise again to train anew"
        )
    for file in written.glob("*.safetensors"):
        shutil.copyfile(checkpoint / file.name, file)


def _name_base(file: Path, reference: str) -> None:
    config = json.loads(file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = reference  # a path of this machine would not serve elsewhere
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # it comes from a set, in any order
    write_json(file, config)
