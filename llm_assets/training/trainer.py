"""transformers' Trainer, with whole checkpoints, a validation that counts every token once, and packed rows."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PrinterCallback, TrainingArguments

from llm_assets.training import loading, packing
from llm_assets.training.batching import token_losses, with_answers
from llm_assets.training.checkpoints import checkpoint_name, retain, seal
from llm_assets.training.devices.trainer import DevicesTrainer
from llm_assets.training.disk import disk_full_said
from llm_assets.training.encoding import IGNORED, Encoded
from llm_assets.training.methods import base_of
from llm_assets.training.stopping import Patience, best_of

if TYPE_CHECKING:
    from torch import Tensor

    from llm_assets.training.course import Course
    from llm_assets.training.devices import Devices
    from llm_assets.training.methods import TrainedModel
    from llm_assets.training.watch import Watch

Collate = Callable[[list[Encoded]], dict[str, Any]]


class TuningTrainer(DevicesTrainer):
    """The Trainer of a fine-tune.

    Args:
        run: the run directory: checkpoints are written in `pending`, sealed and moved to `checkpoints`.
        validation: what is measured during the training.
        patience: when it stops early; the best checkpoint is kept then.
        watch: one of its callbacks: knows what a step saw.
        named: as the Trainer's.
    """

    def __init__(
        self,
        *,
        run: Path,
        validation: Sequence[Encoded],
        patience: Patience | None,
        devices: Devices,
        watch: Watch,
        **named: Any,
    ) -> None:
        super().__init__(devices=devices, compute_loss_func=completion_loss, callbacks=[watch], **named)
        self._run, self._validation, self._patience = run, validation, patience
        self._here, self._watch = devices, watch
        self.remove_callback(PrinterCallback)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Mean loss of the validation's tokens; the same number in every process."""
        size, total, counted = self.args.per_device_train_batch_size, 0.0, 0
        self.model.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            for start in range(0, len(self._validation), size):
                batch = self._prepare_inputs(self.data_collator(list(self._validation[start : start + size])))
                labels = batch.pop("labels")
                total += float(token_losses(self.model(**batch).logits, labels).sum())
                counted += int((labels != IGNORED).sum())
        self.model.train()
        metrics = {"eval_loss": total / counted}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _run_epoch(self, *positional: Any, **named: Any) -> None:
        """Transformers begins an epoch with a step; a training that is over when it goes on has none left."""
        if not self.control.should_training_stop:
            super()._run_epoch(*positional, **named)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write beside, seal, move; a disk that fills leaves the checkpoints before."""
        step, checkpoints = self.state.global_step, self._run / "checkpoints"
        self._refuse_broken_weights(step)
        with disk_full_said(self._run / "pending", f"the checkpoint of step {step}"):
            super()._save_checkpoint(model, trial)
            self._here.wait()  # each process writes its state of chance
            if self._here.leads:
                seal(self._run / "pending" / f"checkpoint-{step}", checkpoints / checkpoint_name(step))
        if self._here.leads:
            retain(
                checkpoints,
                {best_of(self.state.log_history, self._patience.min_delta).step} if self._patience else (),
            )

    def _refuse_broken_weights(self, step: int) -> None:
        trained = [weight for weight in self.model.parameters() if weight.requires_grad]
        if not all(bool(torch.isfinite(weight).all()) for weight in trained):
            raise self._watch.not_finite(step, "weights are no numbers")


def completion_loss(outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
    """Mean loss of the labelled tokens of a whole step, over its micro-batches."""
    counted = num_items_in_batch if num_items_in_batch is not None else (labels != IGNORED).sum()
    return token_losses(outputs.logits, labels).sum() / counted


def make_trainer(
    settings: dict[str, Any], run: Path, model: TrainedModel, course: Course, pad: int, watch: Watch, here: Devices
) -> TuningTrainer:
    """The trainer of a course.

    Args:
        settings: `TrainingSettings`, nothing left to decide.
        run: the run directory.
        model: with gradients where it is trained.
        course: what is trained on.
        pad: the token that fills a padded batch.
        watch: reports, and says when it is over.
        here: the devices.

    Raises:
        ValueError: packing is wanted, and cannot be.
    """
    micro, accumulation = here.split(settings["batch"], settings["micro_batch"])
    checkpointing = settings["gradient_checkpointing"]
    arguments = TrainingArguments(
        output_dir=str(run / "pending"),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=accumulation,
        gradient_checkpointing=checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if checkpointing else None,
        max_steps=course.steps,
        learning_rate=settings["learning_rate"],
        lr_scheduler_type=settings["schedule"],
        warmup_steps=math.ceil(course.steps * settings["warmup"]),
        weight_decay=settings["weight_decay"],
        bf16=loading.has_bf16(),
        seed=settings["seed"],
        train_sampling_strategy="sequential",  # the course is in order already
        save_strategy="steps",
        save_steps=settings["checkpoint_steps"],
        eval_strategy="steps" if course.validation else "no",
        eval_steps=settings["evaluate_every"],
        logging_steps=1,
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
        **here.training_arguments(),
    )
    return TuningTrainer(
        run=run,
        validation=course.validation,
        patience=patience_of(settings),
        devices=here,
        model=model,
        args=arguments,
        train_dataset=list(course.pieces),
        eval_dataset=list(course.validation) or None,
        data_collator=_collate(settings, model, pad, here),
        watch=watch,
    )


def patience_of(settings: dict[str, Any]) -> Patience | None:
    """When to stop early, as it is set."""
    early = settings["early_stopping"]
    return Patience(early["patience"], early["min_delta"]) if early else None


def _collate(settings: dict[str, Any], model: TrainedModel, pad: int, here: Devices) -> Collate:
    """Packed rows, or padded ones where packing is not wanted or cannot be."""
    padded: Collate = partial(with_answers, pad=pad)
    if settings["packing"] is False:
        return padded
    base = base_of(model)
    reason = packing.reason_against(base, settings["max_tokens"])
    if here.kind == "xla":
        reason = "a TPU compiles anew for every length of a row"
    if reason is None:
        packing.enable(base)
        return packing.packed
    if settings["packing"] is True:
        raise ValueError(f"training.packing: this model's examples cannot be packed: {reason}; leave it at auto")
    return padded


def clear_pending(run: Path) -> None:
    """What an interrupted checkpoint left."""
    shutil.rmtree(run / "pending", ignore_errors=True)
