"""The shape of a transformer, as far as its memory depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Reads = Literal["attention_in", "attended", "cross_in", "cross_attended", "encoded", "mlp_in", "inner", "stack"]
"""Which tensor of its block a linear layer reads: layers that read the same one keep it once."""


class UnknownArchitecture(ValueError):
    """A configuration that does not describe a transformer as we know them; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer, or a stack of them.

    Attributes:
        name: of the module, as `target_modules` of an adapter names it.
        inputs, outputs: features.
        bias: whether it has one.
        reads: what it reads.
        experts: how many of them, in one stacked weight.
        fused: projections that share its weight; PEFT gives a stacked weight's adapter the rank of all of them.
    """

    name: str
    inputs: int
    outputs: int
    bias: bool
    reads: Reads
    experts: int = 1
    fused: int = 1

    @property
    def weights(self) -> int:
        """Numbers in its matrix."""
        return self.experts * self.inputs * self.outputs

    @property
    def adapter(self) -> int:
        """Parameters of an adapter of rank 1 (arXiv 2106.09685)."""
        return self.experts * self.fused * (self.inputs + self.outputs)

    @property
    def parameters(self) -> int:
        """With the bias."""
        return self.weights + (self.experts * self.outputs if self.bias else 0)


@dataclass(frozen=True, slots=True)
class Attention:
    """Heads of one attention.

    Attributes:
        heads, kv_heads: of queries, and of keys and values.
        head_dim: of each.
        normed: whether queries and keys are normalised.
        capped: whether scores go through a tanh.
        dropout: share of the scores that is dropped in training.
    """

    heads: int
    kv_heads: int
    head_dim: int
    normed: bool = False
    capped: bool = False
    dropout: float = 0.0

    @property
    def width(self) -> int:
        """Of all queries."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Of all keys, or of all values."""
        return self.kv_heads * self.head_dim


@dataclass(frozen=True, slots=True)
class Mlp:
    """The inner part of a block.

    Attributes:
        inner: features between its layers.
        gated: whether a second projection gates the first.
        kept: tensors of that width that the activation function keeps for the backward pass: 1 for one kernel, 4 for
            GELU that is spelled out in Python, 0 for ReLU, which is known from its result.
        active: experts that a token goes through; 0: there are none.
        dropout: whether its inner features are dropped in training.
    """

    inner: int
    gated: bool
    kept: int = 1
    active: int = 0
    dropout: bool = False

    @property
    def width(self) -> int:
        """Inner features of a token, over all the experts that it goes through."""
        return self.inner * max(1, self.active)


@dataclass(frozen=True, slots=True)
class Block:
    """One layer of a stack.

    Attributes:
        linears: its linear layers.
        others: parameters that are in none of them: norms.
        attention, cross: its attention, and that to the encoder.
        mlp: its inner part.
        norm: `rms` computes in fp32 and keeps a copy of its input, `rms32` scales in fp32 as well, `layer` is one
            kernel.
        norms: how many, over the hidden size.
        side_by_side: whether attention and MLP read the same stream, so that their norms keep it once.
        fused: whether queries, keys and values are views of one tensor, which is kept whole then.
        dropout: share of its parts' results that is dropped in training; the masks are kept.
    """

    linears: tuple[Linear, ...]
    others: int
    attention: Attention
    mlp: Mlp
    norm: Literal["rms", "rms32", "layer"] = "rms"
    norms: int = 2
    side_by_side: bool = False
    fused: bool = False
    cross: Attention | None = None
    dropout: float = 0.0

    @property
    def parameters(self) -> int:
        """All of it."""
        return sum(linear.parameters for linear in self.linears) + self.others

    @property
    def matrices(self) -> int:
        """Numbers in the linear layers' matrices: what is quantised."""
        return sum(linear.weights for linear in self.linears)


@dataclass(frozen=True, slots=True)
class Stack:
    """Equal blocks one after the other.

    Attributes:
        block: each of them.
        count: how many.
        side: whether they see the input, or write the output; a decoder-only model has `decoder` alone.
    """

    block: Block
    count: int
    side: Literal["encoder", "decoder"] = "decoder"


@dataclass(frozen=True, slots=True)
class Architecture:
    """A model.

    Attributes:
        family: `model_type` of its configuration.
        vocabulary: rows of the logits.
        hidden: features between blocks.
        stacks: its blocks.
        embeddings: parameters of the input embeddings, positions included.
        head: the output layer; None: it shares the input embeddings.
        between: linear layers outside the blocks.
        others: parameters that are in none of these: the last norms.
        width: bytes of a parameter as it is stored.
        exact: whether the family is known, so that its parameters are counted and not guessed.
    """

    family: str
    vocabulary: int
    hidden: int
    stacks: tuple[Stack, ...]
    embeddings: int
    head: Linear | None
    others: int
    between: tuple[Linear, ...] = ()
    width: int = 2
    exact: bool = True

    @property
    def layers(self) -> int:
        """Blocks of the decoder, as `num_hidden_layers` counts them."""
        return sum(stack.count for stack in self.stacks if stack.side == "decoder")

    @property
    def parameters(self) -> int:
        """All, with shared ones counted once."""
        blocks = sum(stack.count * stack.block.parameters for stack in self.stacks)
        between = sum(linear.parameters for linear in self.between)
        return blocks + between + self.embeddings + self.others + (self.head.parameters if self.head else 0)

    @property
    def matrices(self) -> int:
        """Numbers in matrices of blocks: what 4-bit loading quantises. The output layer and embeddings are not."""
        return sum(stack.count * stack.block.matrices for stack in self.stacks)

    def blocks(self) -> Iterator[tuple[Stack, int]]:
        """Each block with its place in its stack."""
        for stack in self.stacks:
            for place in range(stack.count):
                yield stack, place
