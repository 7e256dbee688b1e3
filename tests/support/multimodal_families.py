"""Models of text and of images or sound, of which only the text is read: the class and the configuration of each."""

from tests.support.family_arguments import (
    BASE,
    DELTA,
    EXPERTS,
    IDS,
    LLAMA4,
    SHARED_EXPERT,
    VISION,
    WIDE,
    WINDOW,
    Arguments,
)

MULTIMODAL = {
    family: f"{name}ForConditionalGeneration"
    for family, name in {
        "audioflamingo3": "AudioFlamingo3",
        "emu3": "Emu3",
        "gemma3": "Gemma3",
        "gemma4": "Gemma4",
        "gemma4_unified": "Gemma4Unified",
        "glm4v": "Glm4v",
        "glmasr": "GlmAsr",
        "idefics3": "Idefics3",
        "llama4": "Llama4",
        "llava": "Llava",
        "llava_next": "LlavaNext",
        "llava_onevision": "LlavaOnevision",
        "mistral3": "Mistral3",
        "musicflamingo": "MusicFlamingo",
        "qwen2_5_vl": "Qwen2_5_VL",
        "qwen2_audio": "Qwen2Audio",
        "qwen3_5": "Qwen3_5",
        "qwen3_5_moe": "Qwen3_5Moe",
        "qwen3_vl": "Qwen3VL",
        "qwen3_vl_moe": "Qwen3VLMoe",
    }.items()
}
_SECTIONS = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
_WHOLE = {**_SECTIONS, "partial_rotary_factor": 1.0}
_PLACES = {
    "image_token_id": 300,
    "video_token_id": 301,
    "vision_start_token_id": 302,
    "vision_end_token_id": 303,
}
_DEEP = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "depth": 1,
    "num_heads": 2,
    "out_hidden_size": 32,
    "patch_size": 14,
}
_STACKED = {**_DEEP, "deepstack_visual_indexes": [0]}
_IMAGES = {**IDS, "vision_config": {"model_type": "clip_vision_model", **VISION}, "image_token_index": 300}
_SOUND = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_mel_bins": 8,
}
_FLAMINGO: Arguments = {
    **IDS,
    "text_config": {"model_type": "qwen2", **BASE},
    "audio_config": {"model_type": "audioflamingo3_encoder", **_SOUND},
    "audio_token_id": 300,
}
_GEMMA4: Arguments = {
    **WINDOW,
    "global_head_dim": 8,
    "hidden_size_per_layer_input": 0,
    "vocab_size_per_layer_input": 320,
    "num_kv_shared_layers": 0,
}
_GRID = {"image_grid_pinpoints": [[28, 28]]}
MULTIMODAL_ARGUMENTS: dict[str, Arguments] = {
    "audioflamingo3": _FLAMINGO,
    "emu3": {
        **IDS,
        "text_config": BASE,
        "vq_config": {
            "codebook_size": 16,
            "embed_dim": 4,
            "latent_channels": 4,
            "base_channels": 32,
            "channel_multiplier": [1],
            "num_res_blocks": 1,
            "hidden_size": 16,
            "num_attention_heads": 1,
            "attn_resolutions": [],
        },
        "vocabulary_map": {"<image>": 300},
    },
    "gemma3": {
        "text_config": {**WINDOW, "query_pre_attn_scalar": 8},
        "vision_config": VISION,
        "mm_tokens_per_image": 4,
    },
    "gemma4": {
        **IDS,
        "text_config": _GEMMA4,
        "vision_config": {**VISION, "num_key_value_heads": 2, "head_dim": 8, "global_head_dim": 8},
    },
    "gemma4_unified": {**IDS, "text_config": _GEMMA4},
    "glm4v": {
        **IDS,
        "text_config": {**BASE, "rope_parameters": _WHOLE},
        "vision_config": {**_DEEP, "image_size": 28},
        "image_token_id": 300,
        "video_token_id": 301,
        "image_start_token_id": 302,
        "image_end_token_id": 303,
        "video_start_token_id": 304,
        "video_end_token_id": 305,
    },
    "glmasr": {
        **IDS,
        "text_config": {"model_type": "llama", **BASE},
        "audio_config": {"model_type": "glmasr_encoder", **_SOUND},
        "audio_token_id": 300,
    },
    "idefics3": {
        **IDS,
        "text_config": {"model_type": "llama", **BASE},
        "vision_config": VISION,
        "image_token_id": 300,
        "scale_factor": 2,
    },
    "llama4": {
        **IDS,
        "text_config": LLAMA4,
        "vision_config": {
            **VISION,
            "vision_output_dim": 16,
            "projector_input_dim": 16,
            "projector_output_dim": 16,
        },
        "image_token_index": 300,
    },
    "llava": {**_IMAGES, "text_config": {"model_type": "llama", **BASE}},
    "llava_next": {**_IMAGES, **_GRID, "text_config": {"model_type": "llama", **BASE}},
    "llava_onevision": {
        **_IMAGES,
        **_GRID,
        "text_config": {"model_type": "qwen2", **BASE},
        "vision_config": {"model_type": "siglip_vision_model", **VISION},
        "video_token_index": 301,
    },
    "mistral3": {
        **IDS,
        "text_config": {"model_type": "mistral", **WIDE},
        "vision_config": {"model_type": "pixtral", **VISION, "head_dim": 8},
        "image_token_index": 300,
    },
    "musicflamingo": _FLAMINGO,
    "qwen2_5_vl": {
        **IDS,
        **_PLACES,
        "text_config": {**BASE, "rope_parameters": _SECTIONS},
        "vision_config": _DEEP,
    },
    "qwen2_audio": {
        **IDS,
        "text_config": {"model_type": "qwen2", **BASE},
        "audio_config": {
            "d_model": 16,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 16,
            "num_mel_bins": 8,
        },
        "audio_token_index": 300,
    },
    "qwen3_5": {
        **IDS,
        **_PLACES,
        "text_config": {**WIDE, **DELTA, "rope_parameters": _WHOLE},
        "vision_config": _DEEP,
    },
    "qwen3_5_moe": {
        **IDS,
        **_PLACES,
        "text_config": {**WIDE, **EXPERTS, **SHARED_EXPERT, **DELTA, "rope_parameters": _WHOLE},
        "vision_config": _DEEP,
    },
    "qwen3_vl": {
        **IDS,
        **_PLACES,
        "text_config": {**WIDE, "rope_parameters": _SECTIONS},
        "vision_config": _STACKED,
    },
    "qwen3_vl_moe": {
        **IDS,
        **_PLACES,
        "text_config": {**WIDE, **EXPERTS, "rope_parameters": _SECTIONS},
        "vision_config": _STACKED,
    },
}
