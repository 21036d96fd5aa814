"""What the backward pass keeps: tensor by tensor, as autograd saves them.

The terms are those of Korthikanti et al. (arXiv 2205.05198, section 4), told apart by what is trained (a frozen
linear layer does not keep its input) and by how the modules of transformers 5 compute: an RMS norm keeps an fp32 copy
of its input, `silu(gate) × up` keeps three tensors, autocast keeps a copy of an input for each layer that reads it.
`tests/models/memory/test_activations.py` compares them with what autograd really saves.
"""

from __future__ import annotations

from llm_assets.models.memory.architecture import Architecture, Attention, Block, Linear, Stack
from llm_assets.models.memory.parameters import adapted
from llm_assets.models.memory.workload import Kernel, Workload

FP32 = 4
CHUNKS = 8  # of a loss that takes the logits in parts: torchtune's default


def activations(architecture: Architecture, workload: Workload) -> int:
    """Bytes that are kept when the forward pass has ended, logits left out."""
    if workload.method == "inference":
        return 0
    blocks = list(architecture.blocks())
    if workload.checkpointing:
        live = max(kept_by_block(stack, place, architecture, workload) for stack, place in blocks)
        return live + (0 if workload.offloaded else checkpoints(architecture, workload))
    kept = sum(kept_by_block(stack, place, architecture, workload) for stack, place in blocks)
    return kept + _last_norm(architecture, workload)


def checkpoints(architecture: Architecture, workload: Workload) -> int:
    """The input of each block, in the width of the stream between blocks."""
    rows = sum(_rows(stack, workload) for stack, _ in architecture.blocks())
    return rows * architecture.hidden * stream_width(architecture, workload)


def kept_by_block(stack: Stack, place: int, architecture: Architecture, workload: Workload) -> int:
    """Bytes that one block keeps for its backward pass."""
    if not _learns(stack, place, workload):
        return 0
    block, rows, hidden = stack.block, _rows(stack, workload), architecture.hidden
    full = workload.method == "full"
    own = attention_kept(block.attention, _length(stack, workload), workload, trained_norms=full)
    if block.cross:
        own += attention_kept(block.cross, workload.tokens, workload)
    if (block.fused or workload.fused_projections) and kernel_of(block.attention, workload) != "eager":
        own += workload.compute_width * (block.attention.width + block.attention.kv_width)
    per_row = (
        _norms(block, hidden, workload) + own + _mlp(block, hidden, workload) + _inputs(stack, place, workload)
    ) + _masks(block, hidden)
    return rows * per_row


def attention_kept(attention: Attention, keys: int, workload: Workload, *, trained_norms: bool = False) -> int:
    """Bytes for one token: queries, keys and values, what was attended, and scores where there is no kernel.

    Args:
        attention: its heads.
        keys: tokens that each token may look at.
        workload: the kernel and the width.
        trained_norms: whether the norms of queries and keys are trained.
    """
    width, kernel = workload.compute_width, kernel_of(attention, workload)
    repeated = attention.width if kernel != "flash" else attention.kv_width
    kept = width * (attention.width + 2 * repeated)
    if attention.normed and not workload.compiled:
        kept += (FP32 + (width if trained_norms else 0)) * (attention.width + attention.kv_width)
    if kernel != "eager":
        return kept + width * attention.width + FP32 * attention.heads  # its output and the sum of each softmax
    score = FP32 + (width if width < FP32 else 0) + (1 + width if attention.dropout else 0)
    return kept + attention.heads * keys * (score + (width if attention.capped else 0))


def kernel_of(attention: Attention, workload: Workload) -> Kernel:
    """The kernel that is used: with dropout there is none for the CPU."""
    return "eager" if attention.dropout and workload.on == "cpu" else workload.attention


def logits(architecture: Architecture, workload: Workload) -> int:
    """Bytes around the loss at its peak, in its backward pass.

    Logits, their log-softmax, and the gradients of both: cross entropy is `nll_loss` after `log_softmax`, and the
    gradient of the first is a whole tensor beside that of the second. A compiled loss has the second alone.
    """
    learned = workload.target_tokens or workload.tokens
    if workload.learned_tokens is not None:
        learned = workload.learned_tokens
    count, width = workload.batch * learned * architecture.vocabulary, workload.compute_width
    if workload.method == "inference":
        return workload.batch * architecture.vocabulary * (width + FP32)
    upcast = FP32 if workload.upcast else width
    if workload.loss == "fused":
        return count * (width + 2 * upcast) // CHUNKS
    if workload.loss == "chunked":
        kept = width if workload.compiled else width + upcast
        return count * kept + count * (width if workload.compiled else 2 * upcast) // CHUNKS
    return count * (width + (2 if workload.compiled else 3) * upcast)


def in_flight(architecture: Architecture, workload: Workload) -> int:
    """Bytes of gradients between the operations of one block, while the backward pass is in it."""
    if workload.method == "inference":
        return 0
    flowing = max(_block_in_flight(stack, architecture.hidden, workload) for stack in architecture.stacks)
    return flowing + dequantised(architecture, workload)


def dequantised(architecture: Architecture, workload: Workload) -> int:
    """Bytes of the largest 4-bit matrix in the width that it is computed in: one at a time is unpacked.

    What was quantised from fp16 is unpacked to fp16, and cast to bf16 beside it.
    """
    if not workload.four_bits:
        return 0
    linears = [linear for stack in architecture.stacks for linear in stack.block.linears]
    if architecture.head and workload.quantised_head:
        linears.append(architecture.head)
    copies = 2 if workload.quantised_from_half else 1
    return copies * workload.compute_width * max(linear.inputs * linear.outputs for linear in linears)


def stream_width(architecture: Architecture, workload: Workload) -> int:
    """Bytes of a number between blocks: autocast adds to what fp32 embeddings began."""
    return max(workload.compute_width, weight_width(architecture, workload))


def weight_width(architecture: Architecture, workload: Workload) -> int:
    """Bytes of a parameter that is not quantised, in memory."""
    return workload.weight_width or architecture.width


def _learns(stack: Stack, place: int, workload: Workload) -> bool:
    """Whether the backward pass comes into a block: it stops below the lowest adapter."""
    return (
        workload.adapter_layers is None or workload.method == "full" or place >= stack.count - workload.adapter_layers
    )


def _length(stack: Stack, workload: Workload) -> int:
    return workload.target_tokens if stack.side == "decoder" and workload.target_tokens else workload.tokens


def _rows(stack: Stack, workload: Workload) -> int:
    return workload.batch * _length(stack, workload)


def _norms(block: Block, hidden: int, workload: Workload) -> int:
    width = workload.compute_width
    if block.norm == "layer" or workload.compiled:
        return (1 if block.side_by_side else block.norms) * width * hidden
    scaled = FP32 if block.norm == "rms32" else width
    return block.norms * hidden * (FP32 + (scaled if workload.method == "full" else 0))


def _last_norm(architecture: Architecture, workload: Workload) -> int:
    return workload.batch * (workload.target_tokens or workload.tokens) * architecture.hidden * FP32


def _mlp(block: Block, hidden: int, workload: Workload) -> int:
    """Without what the last layer reads. A token is copied for each expert, and what they say is weighed."""
    mlp = block.mlp
    kept = min(1, mlp.kept) if workload.compiled else mlp.kept
    gate = (1 if workload.compiled else 2) if mlp.gated else 0
    return workload.compute_width * ((kept + gate) * mlp.width + 2 * mlp.active * hidden)


def _inputs(stack: Stack, place: int, workload: Workload) -> int:
    """What linear layers keep of their inputs, in bytes for each row."""
    block = stack.block
    if workload.method == "full":
        return _shared(block.linears, block, workload, copied=_autocast(workload))
    carrying = [linear for linear in block.linears if adapted(linear, stack, place, workload)]
    width = workload.adapter_width or workload.compute_width
    inner = workload.adapter_rank * workload.compute_width * len(carrying)
    if workload.adapter_dropout:
        return (
            inner
            + sum(linear.inputs for linear in carrying) * (1 + workload.compute_width)
            + _read_anyway(block, workload)
        )
    if width != workload.compute_width and not _autocast(workload):  # PEFT casts for each adapter of its own
        return inner + sum(linear.inputs for linear in carrying) * width + _read_anyway(block, workload)
    if _autocast(workload):
        return inner + sum(linear.inputs for linear in carrying) * workload.compute_width
    reading = block.linears if workload.quantised_inputs else tuple(carrying)
    return inner + _shared(reading, block, workload)


def _read_anyway(block: Block, workload: Workload) -> int:
    return _shared(block.linears, block, workload) if workload.quantised_inputs else 0


def _shared(linears: tuple[Linear, ...], block: Block, workload: Workload, *, copied: bool = False) -> int:
    """Inputs of layers, each tensor once; `copied`: in a copy for each layer, where autocast makes one."""
    sizes: dict[str, int] = {}
    for linear in linears:
        active = max(1, block.mlp.active) if linear.reads == "inner" else 1
        if linear.reads == "attended" and kernel_of(block.attention, workload) != "eager":
            continue  # the kernel keeps its output already
        if linear.reads == "encoded":
            continue  # once for the whole decoder
        before = sizes.get(linear.reads, 0) if copied and linear.reads.endswith("_in") else 0
        sizes[linear.reads] = before + active * linear.inputs
    return workload.compute_width * sum(sizes.values())


def _masks(block: Block, hidden: int) -> int:
    """Of dropout, a byte for each number: behind each part of the block, and inside the MLP."""
    inside = block.mlp.inner if block.mlp.dropout else 0
    return inside + (block.norms * hidden if block.dropout else 0)


def _block_in_flight(stack: Stack, hidden: int, workload: Workload) -> int:
    block, width = stack.block, workload.compute_width
    inner = (3 if block.mlp.gated else 2) * block.mlp.width * width
    scores = (
        2 * FP32 * block.attention.heads * _length(stack, workload)
        if kernel_of(block.attention, workload) == "eager"
        else 0
    )
    return _rows(stack, workload) * (max(inner, scores, 3 * FP32 * hidden) + width * hidden)


def _autocast(workload: Workload) -> bool:
    return (workload.weight_width or workload.compute_width) > workload.compute_width
