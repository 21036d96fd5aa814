"""How a model is trained, in YAML."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from llm_assets.schema import Settings

Method = Literal["lora", "qlora", "full"]


CARRIED_OUT = {"micro_batch", "packing", "gradient_checkpointing", "checkpoint_steps", "threads", "pool"}
CARRIED_OUT |= {
    "sharding",
    "memory_gb",
    "next_pool",
}  # what is asked for, and what is asked for when it was too little


class LoraSettings(Settings):
    """The adapter: small matrices beside the frozen weights."""

    rank: int = Field(default=16, ge=1, description="More learns more, and needs more memory.")
    alpha: int = Field(default=32, ge=1, description="The adapter's weight is alpha / rank.")
    dropout: float = Field(default=0.0, ge=0, lt=1)
    layers: int | None = Field(
        default=None, ge=1, description="Adapt only the last layers: the backward pass stops there. None adapts all."
    )


class EarlyStoppingSettings(Settings):
    """Stop when the validation loss falls no more; the weights where it was lowest are the result."""

    patience: int = Field(default=3, ge=1, description="Evaluations without progress after which training stops.")
    min_delta: float = Field(
        default=0.0, ge=0, description="A lower loss counts as progress from this difference on."
    )


class TrainingSettings(Settings):
    """How the model is trained. What is in `CARRIED_OUT` does not decide the result."""

    method: Method = Field(
        default="lora",
        description="lora: an adapter; qlora: an adapter on a base model in 4 bits (needs bitsandbytes and a device "
        "that it supports); full: all weights, for several times the memory.",
    )
    lora: LoraSettings = LoraSettings()
    epochs: float = Field(default=2, gt=0, description="Passes over the data.")
    max_steps: int | None = Field(default=None, ge=1, description="Stop after this many steps at most.")
    batch: int = Field(default=16, ge=1, description="Examples of one step.")
    learning_rate: float = Field(default=1e-3, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(
        default=0.05, ge=0, lt=1, description="Share of the steps in which the learning rate rises."
    )
    weight_decay: float = Field(default=0.0, ge=0)
    max_tokens: int = Field(default=512, ge=8, description="A longer example loses the middle of its prompt.")
    chat: bool = Field(default=False, description="Prompt and completion are turns in the model's own chat template.")
    evaluate_every: int | None = Field(
        default=None, ge=1, description="Steps between evaluations during the training, on `validation`."
    )
    validation: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="With evaluate_every: share of the training examples that is measured on and not trained on. "
        "The held-out examples stay unseen until the evaluation.",
    )
    early_stopping: EarlyStoppingSettings | None = Field(default=None, description="Needs evaluate_every.")
    seed: int = 0
    packing: bool | Literal["auto"] = Field(
        default="auto",
        description="Put the examples at once in memory into one row without padding; each sees only itself. "
        "The result is the same, and faster. auto: where the model and the device permit it.",
    )
    gradient_checkpointing: bool | Literal["auto"] = Field(
        default="auto",
        description="Compute activations twice rather than keep them, for far less memory. auto: where they would "
        "not fit what was granted.",
    )
    micro_batch: int | None = Field(
        default=None, ge=1, description="Examples at once in memory; by default the batch."
    )
    checkpoint_steps: int = Field(default=20, ge=1, description="Steps between checkpoints.")
    threads: int | None = Field(default=None, ge=1, description="CPU threads; by default those of the lease.")
    pool: str = Field(default="small", description="Pool of accelerators.yml: what training asks for.")
    sharding: Literal["auto", "ddp", "fsdp"] = Field(
        default="auto",
        description="How several devices share the model. ddp: each has all of it; fsdp: each has a part of every "
        "weight, which needs less memory and more traffic. auto: fsdp where all of it does not fit one device.",
    )
    memory_gb: float | Literal["auto"] | None = Field(
        default=None,
        description="What its pool is asked for instead of the pool's own memory, decimal GB over all devices. auto: "
        "what `llm-assets memory` estimates, and earlier runs took.",
    )
    next_pool: str | None = Field(
        default=None, description="Pool that is asked when memory runs out with one example at once."
    )

    @model_validator(mode="after")
    def _divides(self) -> TrainingSettings:
        if self.micro_batch and self.batch % self.micro_batch:
            raise ValueError(f"micro_batch is {self.micro_batch}: it must divide batch ({self.batch})")
        return self

    @model_validator(mode="after")
    def _asks_for_something(self) -> TrainingSettings:
        if isinstance(self.memory_gb, float) and self.memory_gb <= 0:
            raise ValueError(f"memory_gb is {self.memory_gb:g}: it must be above 0, or auto")
        return self

    @model_validator(mode="after")
    def _can_be_divided(self) -> TrainingSettings:
        if self.method == "qlora" and self.sharding == "fsdp":
            raise ValueError("sharding fsdp cannot divide weights of 4 bits: take ddp, or method lora")
        return self

    @model_validator(mode="after")
    def _can_stop(self) -> TrainingSettings:
        if self.early_stopping and not self.evaluate_every:
            raise ValueError("early_stopping needs evaluate_every: how many steps to train between evaluations")
        return self

    @property
    def decisive(self) -> dict[str, object]:
        """What decides the result: not how it is carried out."""
        unused = set[str]() if self.evaluate_every else {"validation"}
        if self.method == "full":
            unused.add("lora")
        return self.model_dump(exclude=CARRIED_OUT | unused)
