"""From a model's config.json to its shape. One function a family; names and defaults are those of transformers 5."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from llm_assets.models.memory.architecture import (
    Architecture,
    Attention,
    Block,
    Linear,
    Mlp,
    Stack,
    UnknownArchitecture,
)

Config = Mapping[str, Any]
WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2, "float64": 8}
SPELLED_OUT = 4  # tensors that GELU in Python operations keeps: x, x³'s x, tanh and 1 + tanh
PYTHON_GELU = {"gelu_new", "gelu_fast", "quick_gelu"}


def read_config(config: Config) -> Architecture:
    """The shape that a configuration describes.

    A family that is not known is read like Llama, and `exact` is False.

    Raises:
        UnknownArchitecture: it lacks what every transformer has; says which fields.
    """
    if isinstance(config.get("text_config"), Mapping):  # of a model that also sees: only its text part is trained
        config = {**config["text_config"], "tie_word_embeddings": config.get("tie_word_embeddings", True)}
    family = str(config.get("model_type", ""))
    try:
        return FAMILIES.get(family, llama_like)(config)
    except KeyError as missing:
        raise UnknownArchitecture(
            f"config.json of model type '{family or 'unknown'}' has no {missing.args[0]}; known types: "
            f"{', '.join(sorted(FAMILIES))}, and others that name their fields as Llama does"
        ) from None


def llama_like(config: Config) -> Architecture:
    """Llama, Mistral, Qwen, Gemma, Phi-3, OLMo 2, Mixtral: RMS norms and a gated MLP, with their differences."""
    family, hidden = str(config.get("model_type", "")), _whole(config, "hidden_size")
    layers, heads = _whole(config, "num_hidden_layers"), _whole(config, "num_attention_heads")
    kv_heads = int(config.get("num_key_value_heads") or heads)
    head_dim = int(config.get("head_dim") or hidden // heads)
    normed = family in QK_NORMED
    capped = bool(config.get("attn_logit_softcapping"))
    attention = Attention(heads, kv_heads, head_dim, normed, capped)
    norms = 4 if family in FOUR_NORMS else 2
    mlp, inner_linears = _gated(config, hidden)
    whole_width = family in ("olmo2", "olmo3")  # norms queries over all heads, not over each
    qk_norms = (attention.width + attention.kv_width if whole_width else 2 * head_dim) if normed else 0
    block = Block(
        linears=(*_projections(config, hidden, attention), *inner_linears),
        others=norms * hidden + qk_norms,
        attention=attention,
        mlp=mlp,
        norm="rms32" if family in NORMS_IN_FP32 else "rms",
        norms=norms,
        fused=family == "phi3",
    )
    tied = bool(config.get("tie_word_embeddings", family in TIED))
    return _causal(config, hidden, (Stack(block, layers),), tied=tied, others=hidden)


QK_NORMED = {"qwen3", "qwen3_moe", "gemma3_text", "gemma3", "olmo2", "olmo3"}
FOUR_NORMS = {"gemma2", "gemma3_text", "gemma3"}
NORMS_IN_FP32 = {"gemma", "gemma2", "gemma3_text", "gemma3", "olmo2", "olmo3"}
TIED = {"gemma", "gemma2", "gemma3", "gemma3_text"}
BIASED = {"qwen2", "qwen2_moe"}


def _projections(config: Config, hidden: int, attention: Attention) -> tuple[Linear, ...]:
    family = config.get("model_type")
    bias = family in BIASED or bool(config.get("attention_bias", False))
    out_bias = bool(config.get("attention_bias", False)) and family not in BIASED
    out = Linear("o_proj", attention.width, hidden, out_bias, "attended")
    if family == "phi3":
        return Linear("qkv_proj", hidden, attention.width + 2 * attention.kv_width, False, "attention_in"), out
    return (
        Linear("q_proj", hidden, attention.width, bias, "attention_in"),
        Linear("k_proj", hidden, attention.kv_width, bias, "attention_in"),
        Linear("v_proj", hidden, attention.kv_width, bias, "attention_in"),
        out,
    )


def _gated(config: Config, hidden: int) -> tuple[Mlp, tuple[Linear, ...]]:
    family, inner = config.get("model_type"), _whole(config, "intermediate_size")
    experts = int(config.get("num_local_experts") or config.get("num_experts") or 0)
    kept = SPELLED_OUT if str(config.get("hidden_activation") or config.get("hidden_act")) in PYTHON_GELU else 1
    if experts > 1:
        inner = int(config.get("moe_intermediate_size") or inner)
        active = int(config.get("num_experts_per_tok", 2))
        return Mlp(inner, gated=True, active=active), (
            Linear("gate", hidden, experts, False, "mlp_in"),
            Linear("gate_up_proj", hidden, 2 * inner, False, "mlp_in", experts=experts, fused=2),
            Linear("down_proj", inner, hidden, False, "inner", experts=experts),
        )
    bias = bool(config.get("mlp_bias", False))
    down = Linear("down_proj", inner, hidden, bias, "inner")
    if family == "phi3":
        return Mlp(inner, gated=True), (Linear("gate_up_proj", hidden, 2 * inner, False, "mlp_in"), down)
    gate_and_up = (Linear(name, hidden, inner, bias, "mlp_in") for name in ("gate_proj", "up_proj"))
    return Mlp(inner, gated=True, kept=kept), (*gate_and_up, down)


def gpt_neox(config: Config) -> Architecture:
    """Pythia, GPT-NeoX, StableLM Alpha: layer norms with biases, attention and MLP side by side."""
    hidden, heads = _whole(config, "hidden_size"), _whole(config, "num_attention_heads")
    inner, bias = _whole(config, "intermediate_size"), bool(config.get("attention_bias", True))
    linears = (
        Linear("query_key_value", hidden, 3 * hidden, bias, "attention_in"),
        Linear("dense", hidden, hidden, bias, "attended"),
        Linear("dense_h_to_4h", hidden, inner, True, "mlp_in"),
        Linear("dense_4h_to_h", inner, hidden, True, "inner"),
    )
    block = _plain_block(linears, hidden, heads, inner, 4 * hidden, dropout=float(config.get("hidden_dropout", 0.0)))
    block = replace(block, side_by_side=bool(config.get("use_parallel_residual", True)), fused=True)
    stack = Stack(block, _whole(config, "num_hidden_layers"))
    return _causal(config, hidden, (stack,), tied=bool(config.get("tie_word_embeddings", False)), others=2 * hidden)


def bloom(config: Config) -> Architecture:
    """Bloom: ALiBi instead of positions, a norm behind the embeddings."""
    hidden = int(config.get("hidden_size") or config.get("n_embed") or _whole(config, "hidden_size"))
    heads, layers = _either(config, "n_head", "num_attention_heads"), _either(config, "n_layer", "num_hidden_layers")
    linears = (
        Linear("query_key_value", hidden, 3 * hidden, True, "attention_in"),
        Linear("dense", hidden, hidden, True, "attended"),
        Linear("dense_h_to_4h", hidden, 4 * hidden, True, "mlp_in"),
        Linear("dense_4h_to_h", 4 * hidden, hidden, True, "inner"),
    )
    block = _plain_block(
        linears, hidden, heads, 4 * hidden, 4 * hidden, dropout=float(config.get("hidden_dropout", 0))
    )
    tied = bool(config.get("tie_word_embeddings", True))
    return _causal(config, hidden, (Stack(block, layers),), tied=tied, others=4 * hidden)


def opt(config: Config) -> Architecture:
    """OPT: learned positions, two more than it says; some sizes project their embeddings."""
    hidden, heads = _whole(config, "hidden_size"), _whole(config, "num_attention_heads")
    inner, projected = _whole(config, "ffn_dim"), int(config.get("word_embed_proj_dim") or hidden)
    bias = bool(config.get("enable_bias", True))
    names = ("q_proj", "k_proj", "v_proj")
    linears = (
        *(Linear(name, hidden, hidden, bias, "attention_in") for name in names),
        Linear("out_proj", hidden, hidden, bias, "attended"),
        Linear("fc1", hidden, inner, bias, "mlp_in"),
        Linear("fc2", inner, hidden, bias, "inner"),
    )
    norms = 4 * hidden if config.get("layer_norm_elementwise_affine", True) else 0
    block = _plain_block(linears, hidden, heads, inner, norms, dropout=float(config.get("dropout", 0.1)), kept=0)
    last = (
        2 * hidden if config.get("do_layer_norm_before", True) and not config.get("_remove_final_layer_norm") else 0
    )
    between = (
        (
            Linear("project_in", projected, hidden, False, "stack"),
            Linear("project_out", hidden, projected, False, "stack"),
        )
        if projected != hidden
        else ()
    )
    vocabulary = _whole(config, "vocab_size")
    tied = bool(config.get("tie_word_embeddings", True))
    return Architecture(
        family="opt",
        vocabulary=vocabulary,
        hidden=hidden,
        stacks=(Stack(block, _whole(config, "num_hidden_layers")),),
        embeddings=vocabulary * projected + (_whole(config, "max_position_embeddings") + 2) * hidden,
        head=None if tied else Linear("lm_head", projected, vocabulary, False, "stack"),
        others=last,
        between=between,
        width=_width(config),
    )


def gpt2(config: Config) -> Architecture:
    """GPT-2: learned positions."""
    hidden, heads = _either(config, "n_embd", "hidden_size"), _either(config, "n_head", "num_attention_heads")
    inner = int(config.get("n_inner") or 4 * hidden)
    linears = (
        Linear("c_attn", hidden, 3 * hidden, True, "attention_in"),
        Linear("c_proj", hidden, hidden, True, "attended"),
        Linear("c_fc", hidden, inner, True, "mlp_in"),
        Linear("c_proj", inner, hidden, True, "inner"),
    )
    dropout, kept = float(config.get("resid_pdrop", 0.1)), _kept(config.get("activation_function", "gelu_new"))
    block = _plain_block(linears, hidden, heads, inner, 4 * hidden, dropout=dropout, kept=kept)
    attention = replace(block.attention, dropout=float(config.get("attn_pdrop", 0.1)))
    block = replace(block, attention=attention, fused=True)
    positions = _either(config, "n_positions", "max_position_embeddings") * hidden
    stack = Stack(block, _either(config, "n_layer", "num_hidden_layers"))
    tied = bool(config.get("tie_word_embeddings", True))
    return _causal(config, hidden, (stack,), tied=tied, others=2 * hidden, positions=positions)


def phi(config: Config) -> Architecture:
    """Phi 1 to 2: one norm before attention and MLP, biases everywhere, also on the output layer."""
    hidden, heads = _whole(config, "hidden_size"), _whole(config, "num_attention_heads")
    kv_width = int(config.get("num_key_value_heads") or heads) * (hidden // heads)
    inner = _whole(config, "intermediate_size")
    linears = (
        Linear("q_proj", hidden, hidden, True, "attention_in"),
        Linear("k_proj", hidden, kv_width, True, "attention_in"),
        Linear("v_proj", hidden, kv_width, True, "attention_in"),
        Linear("dense", hidden, hidden, True, "attended"),
        Linear("fc1", hidden, inner, True, "attention_in"),
        Linear("fc2", inner, hidden, True, "inner"),
    )
    kept = _kept(config.get("hidden_act", "gelu_new"))
    dropout = float(config.get("resid_pdrop", 0.0))
    block = _plain_block(linears, hidden, heads, inner, 2 * hidden, norms=1, dropout=dropout, kept=kept)
    vocabulary, stack = _whole(config, "vocab_size"), Stack(block, _whole(config, "num_hidden_layers"))
    head = Linear("lm_head", hidden, vocabulary, True, "stack")
    return Architecture(
        "phi", vocabulary, hidden, (stack,), vocabulary * hidden, head, 2 * hidden, width=_width(config)
    )


def falcon(config: Config) -> Architecture:
    """Falcon: many queries for one group of keys; attention and MLP side by side."""
    hidden, heads = _whole(config, "hidden_size"), _either(config, "num_attention_heads", "n_head")
    newer = bool(config.get("new_decoder_architecture", False))
    groups = int(config.get("num_kv_heads") or heads) if newer else 1 if config.get("multi_query", True) else heads
    attention, bias = Attention(heads, groups, hidden // heads), bool(config.get("bias", False))
    inner = int(config.get("ffn_hidden_size") or 4 * hidden)
    linears = (
        Linear("query_key_value", hidden, hidden + 2 * attention.kv_width, bias, "attention_in"),
        Linear("dense", hidden, hidden, bias, "attended"),
        Linear("dense_h_to_4h", hidden, inner, bias, "mlp_in" if newer else "attention_in"),
        Linear("dense_4h_to_h", inner, hidden, bias, "inner"),
    )
    norms = int(config.get("num_ln_in_parallel_attn") or (2 if newer or not config.get("parallel_attn", True) else 1))
    block = Block(
        linears, 2 * hidden * norms, attention, Mlp(inner, gated=False), "layer", norms, side_by_side=True, fused=True
    )
    stack = Stack(block, _either(config, "num_hidden_layers", "n_layer"))
    tied = bool(config.get("tie_word_embeddings", True))
    return _causal(config, hidden, (stack,), tied=tied, others=2 * hidden)


def t5(config: Config) -> Architecture:
    """T5 and mT5: encoder and decoder, relative positions in the first block of each."""
    hidden, heads, head_dim = _whole(config, "d_model"), _whole(config, "num_heads"), _whole(config, "d_kv")
    kind = str(config.get("feed_forward_proj", "gated-gelu" if config.get("model_type") == "mt5" else "relu"))
    dropout, layers = float(config.get("dropout_rate", 0.1)), _whole(config, "num_layers")
    attention, inner = Attention(heads, heads, head_dim, dropout=dropout), _whole(config, "d_ff")
    kept = SPELLED_OUT if "gelu" in kind else 0
    mlp = Mlp(inner, gated=kind.startswith("gated"), kept=kept, dropout=dropout > 0)
    wi = ("wi_0", "wi_1") if mlp.gated else ("wi",)
    feed = (
        *(Linear(name, hidden, inner, False, "mlp_in") for name in wi),
        Linear("wo", inner, hidden, False, "inner"),
    )
    own, cross = _t5_attention(hidden, attention), _t5_attention(hidden, attention, cross=True)
    encoder = Block((*own, *feed), 2 * hidden, attention, mlp, norms=2, dropout=dropout)
    decoder = Block((*own, *cross, *feed), 3 * hidden, attention, mlp, norms=3, cross=attention, dropout=dropout)
    stacks = (
        Stack(encoder, layers, "encoder"),
        Stack(decoder, int(config.get("num_decoder_layers") or layers)),
    )
    positions = 2 * int(config.get("relative_attention_num_buckets", 32)) * heads
    tied = bool(config.get("tie_word_embeddings", config.get("model_type") != "mt5"))
    return _causal(config, hidden, stacks, tied=tied, others=2 * hidden + positions)


def _t5_attention(hidden: int, attention: Attention, *, cross: bool = False) -> tuple[Linear, ...]:
    queries, keys, out = ("cross_in", "encoded", "cross_attended") if cross else ("attention_in",) * 2 + ("attended",)
    return (
        Linear("q", hidden, attention.width, False, queries),
        Linear("k", hidden, attention.width, False, keys),
        Linear("v", hidden, attention.width, False, keys),
        Linear("o", attention.width, hidden, False, out),
    )


def _plain_block(
    linears: tuple[Linear, ...],
    hidden: int,
    heads: int,
    inner: int,
    others: int,
    *,
    norms: int = 2,
    dropout: float = 0.0,
    kept: int = 1,
) -> Block:
    """Layer norms, as many heads of keys as of queries, an MLP without gate."""
    kv_heads = next((linear.outputs for linear in linears if linear.name == "k_proj"), hidden) * heads // hidden
    attention = Attention(heads, kv_heads, hidden // heads)
    return Block(linears, others, attention, Mlp(inner, gated=False, kept=kept), "layer", norms, dropout=dropout)


def _causal(
    config: Config, hidden: int, stacks: tuple[Stack, ...], *, tied: bool, others: int, positions: int = 0
) -> Architecture:
    vocabulary, family = _whole(config, "vocab_size"), str(config.get("model_type", ""))
    return Architecture(
        family=family,
        vocabulary=vocabulary,
        hidden=hidden,
        stacks=stacks,
        embeddings=vocabulary * hidden + positions,
        head=None if tied else Linear("lm_head", hidden, vocabulary, False, "stack"),
        others=others,
        width=_width(config),
        exact=family in FAMILIES,
    )


def _width(config: Config) -> int:
    """Bytes of a stored parameter; fp32 where the file does not say."""
    return WIDTHS.get(str(config.get("dtype") or config.get("torch_dtype")).removeprefix("torch."), 4)


def _kept(activation: object) -> int:
    return SPELLED_OUT if str(activation) in PYTHON_GELU else 1


def _whole(config: Config, name: str) -> int:
    return int(config[name])


def _either(config: Config, name: str, other: str) -> int:
    return int(config[name] if config.get(name) is not None else config[other])


LLAMA_LIKE = ("llama", "mistral", "smollm3", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "olmo2")
FAMILIES: Mapping[str, Callable[[Config], Architecture]] = {
    **dict.fromkeys((*LLAMA_LIKE, "mixtral", "qwen3_moe"), llama_like),
    "gpt_neox": gpt_neox,
    "bloom": bloom,
    "opt": opt,
    "gpt2": gpt2,
    "phi": phi,
    "falcon": falcon,
    "t5": t5,
    "mt5": t5,
}
