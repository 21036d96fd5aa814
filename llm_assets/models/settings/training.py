"""How a model is trained, in YAML."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from llm_assets.schema import Settings

Method = Literal["lora", "qlora", "full"]


class LoraSettings(Settings):
    """The adapter: small matrices beside the frozen weights."""

    rank: int = Field(default=16, ge=1, description="More learns more, and needs more memory.")
    alpha: int = Field(default=32, ge=1, description="The adapter's weight is alpha / rank.")
    dropout: float = Field(default=0.0, ge=0, lt=1)
    layers: int | None = Field(
        default=None, ge=1, description="Adapt only the last layers: the backward pass stops there. None adapts all."
    )


class TrainingSettings(Settings):
    """How the model is trained. All but the last four decide the result."""

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
    seed: int = 0
    micro_batch: int | None = Field(
        default=None, ge=1, description="Examples at once in memory; by default the batch."
    )
    checkpoint_steps: int = Field(default=20, ge=1, description="Steps between checkpoints.")
    threads: int | None = Field(default=None, ge=1, description="CPU threads; by default those of the lease.")
    pool: str = Field(default="small", description="Pool of accelerators.yml: what training asks for.")

    @model_validator(mode="after")
    def _divides(self) -> TrainingSettings:
        if self.micro_batch and self.batch % self.micro_batch:
            raise ValueError(f"micro_batch is {self.micro_batch}: it must divide batch ({self.batch})")
        return self

    @property
    def decisive(self) -> dict[str, object]:
        """What decides the result: not how it is carried out."""
        carried_out = {"micro_batch", "checkpoint_steps", "threads", "pool"}
        adapter = {"lora"} if self.method == "full" else set[str]()
        return self.model_dump(exclude=carried_out | adapter)
