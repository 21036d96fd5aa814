"""Small models of many families: their configurations, made by transformers."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, dict[str, Any]] = {
    "llama": {"tie_word_embeddings": True},
    "llama-untied": {
        "tie_word_embeddings": False,
        "num_key_value_heads": 2,
        "attention_bias": True,
        "mlp_bias": True,
    },
    "mistral": {"num_key_value_heads": 2, "sliding_window": None},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 32},
    "gemma": {"num_key_value_heads": 1, "head_dim": 32},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 32},
    "gemma3_text": {"num_key_value_heads": 1, "head_dim": 32},
    "phi3": {"num_key_value_heads": 2, "pad_token_id": 0},
    "olmo2": {"num_key_value_heads": 2},
    "mixtral": {"num_key_value_heads": 2, "num_local_experts": 4},
    "qwen3_moe": {"num_key_value_heads": 2, "num_experts": 4, "moe_intermediate_size": 48, "head_dim": 16},
    "gpt_neox": {},
    "bloom": {"n_layer": 2, "n_head": 4},
    "opt": {"ffn_dim": 176, "word_embed_proj_dim": 64},
    "opt-projected": {"ffn_dim": 176, "word_embed_proj_dim": 32, "do_layer_norm_before": False},
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "phi": {},
    "falcon": {"multi_query": True, "new_decoder_architecture": False},
    "falcon-grouped": {"new_decoder_architecture": True, "num_kv_heads": 2},
    "t5": {"d_model": 64, "d_kv": 16, "d_ff": 176, "num_layers": 2, "num_heads": 4},
    "mt5": {"d_model": 64, "d_kv": 16, "d_ff": 176, "num_layers": 2, "num_heads": 4, "tie_word_embeddings": False},
}
COMMON = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}


def small_config(name: str) -> Any:
    """A configuration object of transformers."""
    from transformers import AutoConfig

    family = name.partition("-")[0]
    common = {"vocab_size": COMMON["vocab_size"]} if family in ("t5", "mt5", "gpt2") else COMMON
    config = AutoConfig.for_model(family, **{**common, **SMALL[name]})
    if config.is_encoder_decoder:
        config.decoder_start_token_id = 0
    return config


def on_meta(config: Any) -> Any:
    """The model without any weights in memory."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.device("meta"):
        return kind.from_config(config)
