"""The memory of a training or an inference, itemised, on each of its devices.

A training may need the most at the loss (all activations and the logits are there), while the backward pass is in
the last block, at its end (all gradients are there), or in the optimiser's step (its copies are). Each moment is
added up, and the largest counts. Sources: mixed precision and optimiser states, ZeRO (arXiv 1910.02054, section 3);
activations, see `activations`; 4-bit weights, QLoRA (arXiv 2305.14314, section 3); FSDP, PyTorch's FSDP2 notes:
weights, gradients and states in equal parts, and two gathered blocks.
No constant here was fitted to a measured peak of a training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from llm_assets.models.memory.activations import (
    FP32,
    activations,
    checkpoints,
    dequantised,
    in_flight,
    logits,
    weight_width,
)
from llm_assets.models.memory.architecture import Architecture
from llm_assets.models.memory.parameters import adapter_parameters, trained_parameters
from llm_assets.models.memory.workload import Workload

MARGIN = 0.15
"""What is asked for beyond the estimate: allocators round and fragment, kernels take scratch space."""
RUNTIME: Mapping[str, int] = MappingProxyType(
    {
        "gpu": 600_000_000,  # CUDA context with lazily loaded kernels and cuBLAS' work space; 0.3 to 0.8 GB are seen
        "tpu": 500_000_000,  # the runtime's own buffers; not measured
        "cpu": 900_000_000,  # resident after the imports of a training; measured without a model
    }
)
STATE_BYTES = {"adamw": 2 * 4.0, "adamw_8bit": 2 * (1 + 4 / 256), "paged_adamw_8bit": 0.0}
"""Optimiser states of an fp32 parameter. 8-bit ones have an fp32 scale for each 256 (arXiv 2110.02861)."""
WORKING, RUNNING, CACHE, MAPPED = "working space", "runtime", "keys and values", "mapped file"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes on one device.

    Attributes:
        items: what takes how much in the moment of the peak.
        moment: which moment that is.
        parameters, trained: of the model; those with a gradient.
        margin: share that is asked for beyond.
    """

    items: Mapping[str, int]
    moment: str
    parameters: int
    trained: int
    margin: float = MARGIN

    @property
    def peak(self) -> int:
        """Without the margin."""
        return sum(self.items.values())

    @property
    def asked(self) -> int:
        """With the margin: what a device must have."""
        return round(self.peak * (1 + self.margin))


def estimate(architecture: Architecture, workload: Workload, *, margin: float = MARGIN) -> Estimate:
    """What one device needs at the peak."""
    found = (
        _inference(architecture, workload) if workload.method == "inference" else _training(architecture, workload)
    )
    if workload.on:
        found = {moment: {**items, RUNNING: RUNTIME[workload.on]} for moment, items in found.items()}
    if workload.on == "cpu":
        found["loading the weights"] = _loading(architecture, workload)
    moment = max(found, key=lambda name: sum(found[name].values()))
    items = {name: count for name, count in found[moment].items() if count}
    trained = trained_parameters(architecture, workload)
    return Estimate(MappingProxyType(items), moment, architecture.parameters, trained, margin)


def weight_bytes(architecture: Architecture, workload: Workload) -> int:
    """The base model's weights, whole."""
    width = weight_width(architecture, workload)
    if not workload.four_bits:
        matrices = (workload.matrix_width or width) * architecture.matrices
        return matrices + width * (architecture.parameters - architecture.matrices)
    head = architecture.head.weights if architecture.head and workload.quantised_head else 0
    quantised = architecture.matrices + head
    return round(quantised * (0.5 + workload.scale_bytes)) + width * (architecture.parameters - quantised)


def _training(architecture: Architecture, workload: Workload) -> dict[str, dict[str, int]]:
    parts = workload.devices if workload.sharding == "fsdp" else 1
    gradients = _gradients(architecture, workload)
    held = {
        "weights": (weight_bytes(architecture, workload) + _adapter_bytes(architecture, workload)) // parts,
        MAPPED: _mapped(architecture, workload),
        "gathered weights": _gathered(architecture, workload),
        "optimiser": round(_optimiser(architecture, workload)) // parts,
    }
    flowing = in_flight(architecture, workload)
    live = activations(architecture, workload)
    around_loss = logits(architecture, workload)
    at_loss = {
        **held,
        "low-precision copies": _copies(architecture, workload),
        "gradients": gradients // parts if workload.accumulated else 0,
        "activations": live - _first_block(architecture, workload),
        "logits": around_loss,
        WORKING: dequantised(architecture, workload) if workload.quantised_head else 0,
    }
    in_backward = {
        **at_loss,
        "activations": live,
        "logits": 0,
        WORKING: flowing,
    }
    last_block = (
        live - checkpoints(architecture, workload) if workload.checkpointing and not workload.offloaded else 0
    )
    at_end = {
        **held,
        "gradients": _largest(architecture, workload) if workload.step == "in_backward" else gradients // parts,
        "activations": last_block or live // max(1, sum(stack.count for stack in architecture.stacks)),
        WORKING: max(flowing, _step_copies(architecture, workload)) if workload.step == "in_backward" else flowing,
    }
    step = {
        **held,
        "gathered weights": 0,
        "gradients": at_end["gradients"],
        WORKING: _step_copies(architecture, workload) // parts,
    }
    return {
        "at the loss": at_loss,
        "in the backward pass": in_backward,
        "at the end of the backward pass": at_end,
        "in the optimiser's step": step,
    }


def _first_block(architecture: Architecture, workload: Workload) -> int:
    """With checkpointing no block is live while the loss is computed."""
    if not workload.checkpointing:
        return 0
    return activations(architecture, workload) - (0 if workload.offloaded else checkpoints(architecture, workload))


def _inference(architecture: Architecture, workload: Workload) -> dict[str, dict[str, int]]:
    decoders = [stack for stack in architecture.stacks if stack.side == "decoder"]
    values = sum(2 * stack.count * stack.block.attention.kv_width for stack in decoders)
    rows = workload.batch * (workload.tokens + workload.target_tokens)
    widest = max(stack.block.mlp.inner * (2 if stack.block.mlp.gated else 1) for stack in architecture.stacks)
    return {
        "while it answers": {
            "weights": weight_bytes(architecture, workload) // max(1, workload.devices),
            CACHE: rows * values * workload.compute_width // max(1, workload.devices),
            "logits": logits(architecture, workload),
            WORKING: workload.batch * workload.tokens * workload.compute_width * (widest + 2 * architecture.hidden)
            + dequantised(architecture, workload),
        }
    }


def _loading(architecture: Architecture, workload: Workload) -> dict[str, int]:
    """In main memory, the pages of the file count beside the tensors that are made of them."""
    return {
        "weights": weight_bytes(architecture, workload),
        WORKING: architecture.width * architecture.parameters,
        RUNNING: RUNTIME["cpu"],
    }


def _mapped(architecture: Architecture, workload: Workload) -> int:
    """Pages of the weights' file that stay mapped in main memory, where only the matrices were copied out of it.

    The other weights are used as they are stored, in the file's one mapping: it lives as long as they do.
    """
    narrowed = workload.matrix_width not in (None, architecture.width)
    as_stored = weight_width(architecture, workload) == architecture.width
    return architecture.width * architecture.matrices if workload.on == "cpu" and narrowed and as_stored else 0


def _adapter_bytes(architecture: Architecture, workload: Workload) -> int:
    if workload.method == "full":
        return 0
    return adapter_parameters(architecture, workload) * _adapter_width(workload)


def _adapter_width(workload: Workload) -> int:
    return workload.adapter_width or workload.compute_width


def _trained_width(architecture: Architecture, workload: Workload) -> int:
    return weight_width(architecture, workload) if workload.method == "full" else _adapter_width(workload)


def _gradients(architecture: Architecture, workload: Workload) -> int:
    """In the width of the weights; DDP holds them a second time, in the buckets that it sends."""
    own = trained_parameters(architecture, workload) * _trained_width(architecture, workload)
    return own * (2 if workload.sharding == "ddp" and workload.devices > 1 else 1)


def _optimiser(architecture: Architecture, workload: Workload) -> float:
    """AdamW's states have the width of the parameter; quantised ones are that of 8 bits whatever it is."""
    count = trained_parameters(architecture, workload)
    if workload.optimiser == "adamw":
        return count * 2 * _trained_width(architecture, workload)
    return count * STATE_BYTES[workload.optimiser]


def _step_copies(architecture: Architecture, workload: Workload) -> int:
    """`foreach` makes a square root of all second moments at once, `loop` of one at a time."""
    if workload.step == "foreach":
        return trained_parameters(architecture, workload) * _trained_width(architecture, workload)
    if workload.unpacked_states:
        return workload.unpacked_states * FP32 * architecture.vocabulary * architecture.hidden
    return _largest(architecture, workload) if workload.step == "loop" else 0


def _largest(architecture: Architecture, workload: Workload) -> int:
    """The largest trained tensor."""
    if workload.method != "full":
        return 0
    return architecture.vocabulary * architecture.hidden * weight_width(architecture, workload)


def _copies(architecture: Architecture, workload: Workload) -> int:
    """Autocast keeps each weight that the backward pass needs in the lower precision as well."""
    if weight_width(architecture, workload) <= workload.compute_width or workload.four_bits:
        return 0
    head = architecture.vocabulary * architecture.hidden
    blocks = 0 if workload.matrix_width == workload.compute_width else architecture.matrices
    if blocks and workload.checkpointing and workload.method == "lora":
        blocks = max(stack.block.matrices for stack in architecture.stacks)
    return workload.compute_width * (blocks + head)


def _gathered(architecture: Architecture, workload: Workload) -> int:
    """Under FSDP the block that is computed and the next one lie whole on each device, or the embeddings do."""
    if workload.sharding != "fsdp" or workload.devices == 1:
        return 0
    block = max(stack.block.parameters for stack in architecture.stacks)
    each = 0.5 + workload.scale_bytes if workload.four_bits else workload.compute_width
    edge = architecture.vocabulary * architecture.hidden * workload.compute_width
    return max(round(2 * block * each), edge)
