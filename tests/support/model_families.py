"""Tiny random models of every family of decoders that transformers and TransformerLens can both build.

Each has three layers and whatever its family has between heads and logits: norms, multipliers, windows, soft caps,
several kinds of layers. FAMILIES names the configuration's arguments by transformers' model type.
"""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from tests.support.family_arguments import (
    BASE,
    DELTA,
    EXPERTS,
    IDS,
    LATENT,
    LLAMA4,
    MAMBA,
    MULTI_HEAD,
    MULTIPLIERS,
    OLD,
    ROUTED,
    SHARED_EXPERT,
    SLIDING,
    WIDE,
    WINDOW,
    Arguments,
)
from tests.support.multimodal_families import MULTIMODAL, MULTIMODAL_ARGUMENTS
from tests.support.tiny_models import byte_level_tokenizer

FAMILIES: dict[str, Arguments] = {
    "afmoe": {**WINDOW, **EXPERTS, "num_dense_layers": 1, "num_shared_experts": 1, "layer_types": SLIDING},
    "apertus": BASE,
    "arcee": BASE,
    "bamba": {**BASE, **MAMBA, "attn_layer_indices": [1, 2]},
    "bert": {**MULTI_HEAD, "is_decoder": True},
    "bitnet": BASE,
    "bloom": {"vocab_size": 320, "hidden_size": 32, "n_layer": 3, "n_head": 4, **IDS},
    "codegen": {**OLD, "n_ctx": 64, "rotary_dim": 4},
    "cohere": BASE,
    "cohere2": {**BASE, "sliding_window": 8, "layer_types": SLIDING},
    "deepseek_v2": {**LATENT, **ROUTED, "head_dim": 4, "n_shared_experts": 1},
    "deepseek_v3": {**LATENT, **ROUTED, "n_shared_experts": 1},
    "deepseek_v4": WIDE,
    "ernie4_5": WIDE,
    "ernie4_5_moe": {
        **BASE,
        "moe_num_experts": 4,
        "moe_k": 2,
        "moe_intermediate_size": 24,
        "moe_num_shared_experts": 1,
        "moe_layer_start_index": 1,
    },
    "exaone4": {**BASE, "sliding_window": 8, "sliding_window_pattern": 3, "layer_types": SLIDING},
    "falcon": {
        **MULTI_HEAD,
        "new_decoder_architecture": False,
        "multi_query": True,
        "parallel_attn": True,
        "bias": False,
        "alibi": False,
    },
    "falcon_h1": {
        **WIDE,
        **MAMBA,
        "mamba_d_ssm": 32,
        "mamba_d_head": 8,
        "lm_head_multiplier": 0.5,
        "attention_out_multiplier": 0.7,
        "key_multiplier": 0.6,
        "embedding_multiplier": 2.0,
    },
    "falcon_mamba": {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 3, "state_size": 8, **IDS},
    "flex_olmo": {**BASE, "num_experts": 4, "num_experts_per_tok": 2},
    "gemma": WIDE,
    "gemma2": {**WINDOW, "query_pre_attn_scalar": 8},
    "gemma3_text": {**WINDOW, "query_pre_attn_scalar": 8},
    "gemma4_text": {
        **WINDOW,
        "global_head_dim": 8,
        "hidden_size_per_layer_input": 0,
        "vocab_size_per_layer_input": 320,
        "num_kv_shared_layers": 0,
    },
    "glm": {**WIDE, "partial_rotary_factor": 0.5},
    "glm4": {**WIDE, "partial_rotary_factor": 0.5},
    "glm4_moe": {**WIDE, **ROUTED, "partial_rotary_factor": 0.5},
    "glm4_moe_lite": {**LATENT, **ROUTED, "n_shared_experts": 1},
    "glm_moe_dsa": {
        **LATENT,
        **ROUTED,
        "n_shared_experts": 1,
        "index_n_heads": 2,
        "index_head_dim": 8,
        "index_topk": 16,
    },
    "gpt2": OLD,
    "gpt_bigcode": OLD,
    "gpt_neo": {
        **MULTI_HEAD,
        "num_layers": 3,
        "num_heads": 4,
        "attention_types": [[["global", "local", "global"], 1]],
        "window_size": 8,
    },
    "gpt_neox": MULTI_HEAD,
    "gpt_oss": {
        **WINDOW,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "gptj": {**OLD, "rotary_dim": 4},
    "granite": {**BASE, **MULTIPLIERS},
    "granitemoe": {**BASE, **MULTIPLIERS, "num_local_experts": 4, "num_experts_per_tok": 2},
    "granitemoehybrid": {
        **BASE,
        **MULTIPLIERS,
        **MAMBA,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 24,
        "layer_types": ["mamba", "attention", "attention"],
    },
    "hrm_text": WIDE,
    "hunyuan_v1_dense": WIDE,
    "jais2": WIDE,
    "jamba": {
        **BASE,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "num_experts": 4,
        "mamba_d_state": 8,
        "use_mamba_kernels": False,
        "mamba_dt_rank": 4,
    },
    "jetmoe": {
        **{name: value for name, value in BASE.items() if name != "num_attention_heads"},
        "kv_channels": 8,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    },
    "laguna": {**WIDE, **EXPERTS},
    "lfm2": {
        **BASE,
        "layer_types": ["conv", "full_attention", "full_attention"],
        "conv_L_cache": 3,
        "block_multiple_of": 8,
    },
    "lfm2_moe": {
        **BASE,
        **EXPERTS,
        "layer_types": ["conv", "full_attention", "full_attention"],
        "conv_L_cache": 3,
        "num_dense_layers": 1,
    },
    "llama": BASE,
    "llama4_text": LLAMA4,
    "mamba": {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 3, "state_size": 8, **IDS},
    "mamba2": {
        "vocab_size": 320,
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "state_size": 8,
        "num_heads": 4,
        "head_dim": 16,
        "n_groups": 1,
        "chunk_size": 16,
        **IDS,
    },
    "minimax_m2": {**WIDE, "num_local_experts": 4, "num_experts_per_tok": 2, "rotary_dim": 4},
    "ministral3": WIDE,
    "mistral": BASE,
    "mixtral": {**BASE, "num_local_experts": 4},
    "modernbert-decoder": {**MULTI_HEAD, "local_attention": 8, "cls_token_id": 0, "sep_token_id": 0},
    "mpt": {
        "vocab_size": 320,
        "d_model": 32,
        "n_heads": 4,
        "n_layers": 3,
        "expansion_ratio": 2,
        "max_seq_len": 64,
        **IDS,
    },
    "nanochat": BASE,
    "nemotron": BASE,
    "nemotron_h": {
        **WIDE,
        "mamba_num_heads": 4,
        "mamba_head_dim": 16,
        "ssm_state_size": 8,
        "n_groups": 1,
        "chunk_size": 16,
        "layers_block_type": ["mamba", "attention", "mlp"],
    },
    "olmo": {**BASE, "clip_qkv": 0.5},
    "olmo2": BASE,
    "olmo3": {**BASE, "sliding_window": 8},
    "olmo_hybrid": {**BASE, **DELTA, "linear_num_value_heads": 2, "linear_value_head_dim": 16},
    "olmoe": {**BASE, "num_experts": 4, "num_experts_per_tok": 2, "clip_qkv": 0.5},
    "openai-gpt": OLD,
    "opt": {**MULTI_HEAD, "ffn_dim": 48, "word_embed_proj_dim": 32},
    "phi": {**MULTI_HEAD, "partial_rotary_factor": 0.5},
    "phi3": BASE,
    "qwen2": BASE,
    "qwen2_moe": {**BASE, **EXPERTS, **SHARED_EXPERT},
    "qwen3": WIDE,
    "qwen3_5_moe_text": {**WIDE, **EXPERTS, **SHARED_EXPERT, **DELTA},
    "qwen3_5_text": {**WIDE, **DELTA},
    "qwen3_moe": {**WIDE, **EXPERTS},
    "qwen3_next": {**WIDE, **EXPERTS, **SHARED_EXPERT, **DELTA},
    "recurrent_gemma": {
        **BASE,
        "lru_width": 32,
        "attention_window_size": 16,
        "block_types": ["recurrent", "attention", "attention"],
    },
    "rwkv": {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 3, "context_length": 64, **IDS},
    "seed_oss": WIDE,
    "smollm3": {**BASE, "no_rope_layers": [1, 0, 1]},
    "stablelm": {**BASE, "partial_rotary_factor": 0.5},
    "starcoder2": BASE,
    "vaultgemma": {**WINDOW, "query_pre_attn_scalar": 8},
    "xglm": {**MULTI_HEAD, "d_model": 32, "ffn_dim": 48, "num_layers": 3, "attention_heads": 4},
    "youtu": LATENT,
    "zamba2": {
        **BASE,
        "num_key_value_heads": 4,
        "mamba_d_state": 8,
        "mamba_headdim": 16,
        "n_mamba_heads": 4,
        "mamba_ngroups": 1,
        "chunk_size": 16,
        "layers_block_type": ["mamba", "hybrid", "hybrid"],
        "use_shared_attention_adapter": False,
        "use_mem_rope": True,
    },
    **MULTIMODAL_ARGUMENTS,
}


def model_class(family: str) -> Any:
    """The class of transformers that a family's models are: of more than text for those of MULTIMODAL."""
    names = {**MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, **MULTIMODAL}
    return getattr(transformers, names[family])


def save_family(family: str, folder: Path, seed: int = 1, **changes: Any) -> Path:
    """A random model of a family in a folder: weights far from neutral, also those of norms."""
    config = CONFIG_MAPPING[family](**{**FAMILIES[family], **changes})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(family)._from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(0, 0.25)
                else:
                    parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    return folder


def plain_model(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """The same model through transformers alone, with eager attention."""
    family = AutoConfig.from_pretrained(folder).model_type
    return model_class(family).from_pretrained(folder, attn_implementation="eager", dtype=dtype).eval()
