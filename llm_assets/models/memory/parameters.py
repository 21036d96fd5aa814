"""How many parameters are trained: exact counts from the shape alone."""

from __future__ import annotations

from llm_assets.models.memory.architecture import Architecture, Linear, Stack
from llm_assets.models.memory.workload import Workload


def adapted(linear: Linear, stack: Stack, place: int, workload: Workload) -> bool:
    """Whether a linear layer carries an adapter: every one, or those that are named, in the last blocks."""
    if workload.method not in ("lora", "qlora"):
        return False
    if workload.adapter_layers is not None and place < stack.count - workload.adapter_layers:
        return False
    return not workload.adapter_targets or linear.name in workload.adapter_targets


def adapter_parameters(architecture: Architecture, workload: Workload) -> int:
    """Parameters of a LoRA adapter: rank × (inputs + outputs) for each layer that carries one."""
    if workload.method not in ("lora", "qlora"):
        return 0
    inside = sum(
        linear.adapter
        for stack, place in architecture.blocks()
        for linear in stack.block.linears
        if adapted(linear, stack, place, workload)
    )
    all_of_it = workload.adapter_layers is None and not workload.adapter_targets
    between = sum(linear.adapter for linear in architecture.between) if all_of_it else 0
    return workload.adapter_rank * (inside + between)


def trained_parameters(architecture: Architecture, workload: Workload) -> int:
    """Parameters that have a gradient."""
    return architecture.parameters if workload.method == "full" else adapter_parameters(architecture, workload)
