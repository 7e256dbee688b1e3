"""Configurations that checkpoints of a family may have and its tiny model of the matrix has not."""

from tests.support.family_arguments import Arguments

_BASE = 10000.0
_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": _BASE}
_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
    "rope_theta": _BASE,
}
_LONG = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.1, 1.2, 1.3],
    "long_factor": [1.5, 2.0, 2.5, 3.0],
    "original_max_position_embeddings": 16,
    "rope_theta": _BASE,
}
# By what is odd: the family, and the arguments that differ from FAMILIES.
ODD: dict[str, tuple[str, Arguments]] = {
    "tied embeddings, biases everywhere": (
        "llama",
        {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
    ),
    "heads wider than the stream, one key and value": ("llama", {"head_dim": 16, "num_key_value_heads": 1}),
    "padded vocabulary": ("llama", {"vocab_size": 384}),
    "rotary: linear": (
        "llama",
        {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": _BASE}},
    ),
    "rotary: dynamic": (
        "llama",
        {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": _BASE}},
    ),
    "rotary: yarn": ("llama", {"rope_parameters": _YARN}),
    "rotary: llama3": ("llama", {"rope_parameters": _LLAMA3}),
    "rotary: longrope": ("phi3", {"rope_parameters": _LONG, "original_max_position_embeddings": 16}),
    "window on the later layers": (
        "qwen2",
        {
            "use_sliding_window": True,
            "sliding_window": 6,
            "max_window_layers": 1,
            "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
        },
    ),
    "strong soft caps": ("gemma2", {"final_logit_softcapping": 3.0, "attn_logit_softcapping": 2.0}),
    "no soft caps, untied": (
        "gemma2",
        {"final_logit_softcapping": None, "attn_logit_softcapping": None, "tie_word_embeddings": False},
    ),
    "queries and keys through norms, parallel": (
        "stablelm",
        {"qk_layernorm": True, "use_parallel_residual": True, "use_qkv_bias": True},
    ),
    "one block after the other": ("gpt_neox", {"use_parallel_residual": False}),
    "new Falcon": (
        "falcon",
        {
            "new_decoder_architecture": True,
            "num_kv_heads": 2,
            "multi_query": False,
            "num_ln_in_parallel_attn": 2,
        },
    ),
    "Falcon with ALiBi": (
        "falcon",
        {"alibi": True, "multi_query": False, "bias": True, "parallel_attn": False},
    ),
    "norm of the embedding added to the stream": (
        "bloom",
        {"apply_residual_connection_post_layernorm": True},
    ),
    "norm after each part": ("opt", {"do_layer_norm_before": False}),
    "embedding of another width": ("opt", {"word_embed_proj_dim": 16}),
    "all heads with their own keys": ("gpt_bigcode", {"multi_query": False}),
    "scores divided by the layer": ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
    "untied, scores not scaled": ("gpt2", {"tie_word_embeddings": False, "scale_attn_weights": False}),
    "biases of queries, keys and values": ("qwen3", {"attention_bias": True}),
    "half of the dimensions rotated, norms of queries and keys": (
        "phi",
        {"partial_rotary_factor": 0.25, "qk_layernorm": True},
    ),
    "a quarter of the dimensions rotated, biases": (
        "glm",
        {"partial_rotary_factor": 0.25, "attention_bias": True},
    ),
    "multipliers, tied, biases": ("granite", {"tie_word_embeddings": True, "attention_bias": True}),
    "clipped values": ("olmo", {"clip_qkv": 0.1}),
    "one expert a token": ("mixtral", {"num_experts_per_tok": 1}),
    "window of another length": ("gpt_oss", {"sliding_window": 4, "num_key_value_heads": 1}),
    "values wider than keys": ("deepseek_v3", {"v_head_dim": 16, "q_lora_rank": None}),
    "tied scale of the embedding": ("gemma3_text", {"tie_word_embeddings": True, "head_dim": 16}),
}
