"""What is done with a model: everything beside its shape that decides how much memory it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["inference", "lora", "qlora", "full"]
Optimiser = Literal["adamw", "adamw_8bit", "paged_adamw_8bit"]
Sharding = Literal["none", "ddp", "fsdp"]
Kernel = Literal["flash", "sdpa", "eager"]
Loss = Literal["plain", "chunked", "fused"]
Step = Literal["fused", "foreach", "loop", "in_backward"]


@dataclass(frozen=True, slots=True)
class Workload:
    """A training or an inference on one device, or on several.

    Attributes:
        method: what is trained.
        batch: rows at once on each device: the micro-batch.
        tokens: of each row; of an encoder-decoder model, those that it reads.
        target_tokens: that an encoder-decoder model writes in each row.
        learned_tokens: of each row whose logits are computed; None: all.
        weight_width: bytes of a parameter in memory; None: as stored.
        matrix_width: of a frozen matrix in a block; None: as the others.
        compute_width: bytes of an activation: 2 in bf16, 4 in fp32. With wider weights it is autocast.
        adapter_width: bytes of an adapter's parameter; None: as the activations.
        adapter_rank, adapter_layers, adapter_targets, adapter_dropout: of LoRA; no targets: every linear layer.
        optimiser: `paged_…` lies in main memory when the device is full, and is not counted.
        step: how the optimiser goes: `fused` in one kernel, `foreach` with copies of one state, `loop` one parameter
            after the other, `in_backward` frees each gradient at once.
        unpacked_states: of one tensor, that a step has in fp32 (torchao's 8-bit AdamW: 2).
        accumulated: whether gradients of earlier micro-batches lie there while the next is computed.
        devices: how many work together.
        sharding: `ddp` holds all on each; `fsdp` parts weights, gradients and optimiser states.
        checkpointing: whether activations are computed again in the backward pass, block by block.
        offloaded: whether checkpoints lie in main memory.
        attention: `flash` keeps keys once a group of queries, `sdpa` repeats them for each, `eager` keeps scores.
        fused_projections: whether the code has one layer for queries, keys and values, other than in transformers.
        compiled: `torch.compile`: no fp32 copies of norms, pointwise operations computed again.
        loss: `plain` upcasts all logits, `chunked` a part at a time, `fused` never has them all.
        upcast: whether logits become fp32 for the loss.
        quantised: whether the weights are in 4 bits; `qlora` implies it.
        quantised_inputs: whether 4-bit layers keep what they read (bitsandbytes before 0.43).
        quantised_from_half: whether they were made from fp16 whatever the model's type (bitsandbytes before 0.42).
        scale_bytes: that 4-bit weights take beside their 4 bits, a parameter: 4/64, or 0.127/8 when quantised twice.
        quantised_head: whether the output layer is quantised as well.
        on: what it runs on: adds what the runtime takes there; None: counts tensors only.
    """

    method: Method
    batch: int = 1
    tokens: int = 512
    target_tokens: int = 0
    learned_tokens: int | None = None
    weight_width: int | None = None
    matrix_width: int | None = None
    compute_width: int = 2
    adapter_width: int | None = None
    adapter_rank: int = 16
    adapter_layers: int | None = None
    adapter_targets: tuple[str, ...] = ()
    adapter_dropout: float = 0.0
    optimiser: Optimiser = "adamw"
    step: Step = "fused"
    unpacked_states: int = 0
    accumulated: bool = False
    devices: int = 1
    sharding: Sharding = "none"
    checkpointing: bool = False
    offloaded: bool = False
    attention: Kernel = "sdpa"
    fused_projections: bool = False
    compiled: bool = False
    loss: Loss = "plain"
    upcast: bool = True
    quantised: bool = False
    quantised_inputs: bool = False
    quantised_from_half: bool = False
    scale_bytes: float = 4 / 64
    quantised_head: bool = False
    on: Literal["gpu", "cpu", "tpu"] | None = None

    @property
    def four_bits(self) -> bool:
        """Whether the base model's matrices are quantised."""
        return self.quantised or self.method == "qlora"
