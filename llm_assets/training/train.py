"""Train a LoRA adapter. Runs in a process of its own, which holds the devices.

    python -m llm_assets.training.train JOB.json RUN_FOLDER

It is transformers' Trainer rather than TRL's SFTTrainer: on a CPU the latter computes logits at every position,
also where there is nothing to learn (full logits cost a sixth of the speed on SmolLM2-135M), and the order of the
data is planned beforehand in any case.
The result lies in RUN_FOLDER/adapter, sealed; checkpoints beside it let a killed training go on where it was.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from llm_assets.training import devices, loading
from llm_assets.training.batching import token_losses, with_answers
from llm_assets.training.checkpoints import checkpoint_name, latest_whole, retain, seal
from llm_assets.training.devices.trainer import DevicesTrainer
from llm_assets.training.encoding import Encoded, Encoder
from llm_assets.training.failure import told
from llm_assets.training.jobs import PROVENANCE, SUMMARY, TrainJob, read_rows, result_folder, write_json
from llm_assets.training.plan import Plan, plan_steps
from llm_assets.training.reporting import METRICS, Reporter, reporter

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor
    from transformers import PreTrainedModel, TrainerControl, TrainerState

STOPPED = 128 + signal.SIGTERM


class TrainingStopped(SystemExit):
    """The training was told to stop, and has left a whole checkpoint."""


def train(job: TrainJob, run: Path, report: Reporter) -> None:
    """Train, or go on training, until `RUN_FOLDER/adapter` is whole."""
    here = devices.here()
    loading.use_lease(job.threads)
    loading.quiet_libraries()
    seed_everything(job.settings["seed"])
    tokenizer = loading.load_tokenizer(job.model)
    pad = loading.token_id(tokenizer, "pad")
    encoder = Encoder(tokenizer, job.settings["max_tokens"], job.settings["chat"])
    examples = [encoder.encode(row) for row in read_rows(Path(job.data))]
    plan = _plan(examples, job.settings)
    base = loading.load_model(job.model, torch.float32)
    base.config.use_cache = False
    model = base if job.settings["method"] == "full" else adapted(base, job.settings["lora"])
    report.say(_intention(job, examples, plan, model))
    watch = Watch(run, report, job.label, [len(examples[i]) for i in plan.order], job.settings["batch"])
    trainer = _trainer(job, run, model, [examples[i] for i in plan.order], plan, pad, watch)
    trainer.train(resume_from_checkpoint=here.decided(lambda: _resume(run, report)))
    if watch.stopped:
        raise TrainingStopped(STOPPED)
    result = run / "pending" / result_folder(job.settings["method"])
    trainer.save_model(str(result))
    if here.leads:
        _summarise(run, watch, plan, examples)
        _keep(result, run, job, plan)


def adapted(model: PreTrainedModel, lora: dict[str, Any]) -> PeftModel:
    """The model with an adapter on every linear layer of its (last) blocks; only that is trained."""
    config = LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=_targets(model, lora["layers"]) if lora["layers"] else "all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def seed_everything(seed: int) -> None:
    """Every source of chance; refuse operations that are not the same each time where torch knows them."""
    random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)


class Watch(TrainerCallback):
    """Reports each step, seals checkpoints, and stops when told to or when the loss is no number."""

    def __init__(self, run: Path, report: Reporter, label: str, lengths: list[int], batch: int) -> None:
        self._run, self._report, self._label = run, report, label
        self._tokens_until = [0]
        for start in range(0, len(lengths), batch):
            self._tokens_until.append(self._tokens_until[-1] + sum(lengths[start : start + batch]))
        self.stopped = False
        self.tokens_per_second = 0.0
        self._here = devices.here()
        self._stop = devices.Stop(self._here)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._started, self._first_step = time.monotonic(), state.global_step

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._stop.agreed() and state.global_step < state.max_steps:
            self.stopped = control.should_save = control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if not logs or "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(
                f"{self._label}: the loss is {logs['loss']} at step {state.global_step}; lower learning_rate. "
                "The checkpoints before it are whole"
            )
        elapsed = time.monotonic() - self._started
        tokens = self._tokens_until[state.global_step] - self._tokens_until[self._first_step]
        self.tokens_per_second = tokens / elapsed
        left = elapsed / (state.global_step - self._first_step) * (state.max_steps - state.global_step)
        self._report.figures(
            {
                "step": state.global_step,
                "steps": state.max_steps,
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "tokens_per_second": round(self.tokens_per_second, 1),
            }
        )
        self._report.say(
            f"{self._label}: step {state.global_step} of {state.max_steps}, loss {logs['loss']:.4f}, "
            f"{self.tokens_per_second:.0f} tokens/s, {left:.0f} s left"
        )

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._here.wait()  # each process writes its state of chance
        if self._here.leads:
            written = self._run / "pending" / f"checkpoint-{state.global_step}"
            checkpoints = self._run / "checkpoints"
            seal(written, checkpoints / checkpoint_name(state.global_step))
            retain(checkpoints)


def completion_loss(outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
    """Mean loss of the labelled tokens of a whole step, over its micro-batches."""
    counted = num_items_in_batch if num_items_in_batch is not None else (labels >= 0).sum()
    return token_losses(outputs.logits, labels).sum() / counted


def _trainer(
    job: TrainJob,
    run: Path,
    model: PreTrainedModel | PeftModel,
    data: list[Encoded],
    plan: Plan,
    pad: int,
    watch: Watch,
) -> DevicesTrainer:
    settings, here = job.settings, devices.here()
    micro, accumulation = here.split(settings["batch"], settings["micro_batch"])
    arguments = TrainingArguments(
        output_dir=str(run / "pending"),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=accumulation,
        max_steps=plan.steps,
        learning_rate=settings["learning_rate"],
        lr_scheduler_type=settings["schedule"],
        warmup_steps=math.ceil(plan.steps * settings["warmup"]),
        weight_decay=settings["weight_decay"],
        bf16=loading.has_bf16(),
        seed=settings["seed"],
        train_sampling_strategy="sequential",  # the plan has shuffled already
        save_strategy="steps",
        save_steps=settings["checkpoint_steps"],
        logging_steps=1,
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
        **here.training_arguments(),
    )
    trainer = DevicesTrainer(
        devices=here,
        model=model,
        args=arguments,
        train_dataset=data,  # pyright: ignore[reportArgumentType]  (a list is a map-style data set)
        data_collator=lambda examples: with_answers(examples, pad),
        compute_loss_func=completion_loss,
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _plan(examples: list[Encoded], settings: dict[str, Any]) -> Plan:
    return plan_steps(
        [len(example) for example in examples],
        batch=settings["batch"],
        epochs=settings["epochs"],
        max_steps=settings["max_steps"],
        seed=settings["seed"],
    )


def _targets(model: PreTrainedModel, last: int) -> list[str]:
    """Full names of the linear layers in the last blocks.

    Raises:
        ValueError: the model's blocks cannot be told apart by name.
    """
    names = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    first = model.config.num_hidden_layers - last
    wanted = [name for name in names if any(part.isdigit() and int(part) >= first for part in name.split("."))]
    if not wanted:
        raise ValueError(f"lora.layers: {type(model).__name__} has no numbered layers; leave it out to adapt all")
    return wanted


def _resume(run: Path, report: Reporter) -> str | None:
    shutil.rmtree(run / "pending", ignore_errors=True)
    checkpoint = latest_whole(run / "checkpoints")
    if checkpoint is None:
        (run / METRICS).unlink(missing_ok=True)
        return None
    report.say(f"going on from {checkpoint.name}")
    return str(checkpoint)


def _intention(job: TrainJob, examples: list[Encoded], plan: Plan, model: PreTrainedModel | PeftModel) -> str:
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    return (
        f"{job.label}: {len(examples)} examples, {sum(map(len, examples))} tokens, {plan.steps} steps of "
        f"{job.settings['batch']}, {trained / 1e6:.1f} M trained weights, {torch.get_num_threads()} threads"
    )


def _summarise(run: Path, watch: Watch, plan: Plan, examples: list[Encoded]) -> None:
    write_json(
        run / SUMMARY,
        {
            "steps": plan.steps,
            "examples": len(examples),
            "tokens": sum(len(examples[i]) for i in plan.order),
            "shortened": sum(example.shortened for example in examples),
            "tokens_per_second": round(watch.tokens_per_second, 1),
            "bf16": loading.has_bf16(),
        },
    )


def _keep(result: Path, run: Path, job: TrainJob, plan: Plan) -> None:
    """The last step of a training: with the result sealed, it is finished."""
    if result.name == "adapter":
        _name_base(result / "adapter_config.json", job.reference)
    else:
        loading.load_tokenizer(job.model).save_pretrained(str(result))
    base_weights = loading.weights_digest(Path(job.model))
    made = {**job.provenance, "base_weights": base_weights, "steps": plan.steps, "seed": job.settings["seed"]}
    write_json(result / PROVENANCE, made)
    seal(result, run / result.name)


def _name_base(file: Path, reference: str) -> None:
    config = json.loads(file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = reference  # a path of this machine would not serve elsewhere
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # it comes from a set, in any order
    write_json(file, config)


if __name__ == "__main__":
    job_file, run_folder = map(Path, sys.argv[1:])
    with told(run_folder), reporter(run_folder / METRICS) as reporting:
        train(TrainJob.read(job_file), run_folder, reporting)
