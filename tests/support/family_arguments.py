"""Arguments of configurations that several families of models share."""

from typing import Any

Arguments = dict[str, Any]
IDS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
MULTI_HEAD: Arguments = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    **IDS,
}
BASE: Arguments = {**MULTI_HEAD, "num_key_value_heads": 2}
WIDE = {**BASE, "head_dim": 8}
WINDOW = {**WIDE, "sliding_window": 8}
OLD: Arguments = {"vocab_size": 320, "n_positions": 64, "n_embd": 32, "n_layer": 3, "n_head": 4, **IDS}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "num_local_experts": 4}
ROUTED = {
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
LATENT = {
    **MULTI_HEAD,
    "num_key_value_heads": 4,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
}
DELTA = {
    "layer_types": ["linear_attention", "full_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
MAMBA = {
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_d_state": 8,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 16,
}
MULTIPLIERS = {
    "embedding_multiplier": 12.0,
    "logits_scaling": 8.0,
    "residual_multiplier": 0.22,
    "attention_multiplier": 0.15,
}
SLIDING = ["sliding_attention", "sliding_attention", "full_attention"]
VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
SHARED_EXPERT = {"shared_expert_intermediate_size": 24}
LLAMA4 = {
    **WIDE,
    "intermediate_size_mlp": 48,
    "num_local_experts": 4,
    "num_experts_per_tok": 1,
    "no_rope_layers": [1, 1, 0],
    "attention_chunk_size": 16,
    "interleave_moe_layer_step": 2,
}
