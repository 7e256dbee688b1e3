"""Sizes of a model by its configuration: its weights are neither loaded nor asked for."""

from typing import Any

import torch

from app.adapters.model_sources import ModelSource
from app.errors import InvalidModel


def model_sizes(source: ModelSource) -> dict[str, int]:
    """The sizes by name. Raises InvalidModel where the configuration cannot be had, or is of no decoder."""
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config: Any = AutoConfig.from_pretrained(source.location, revision=source.requested_revision)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except Exception as error:  # the libraries raise many types for a wrong name; all mean one thing here
        raise InvalidModel(source.explain(error)) from error
    text = config.get_text_config()
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    n_outside = text.vocab_size * text.hidden_size * (1 if text.tie_word_embeddings else 2)
    n_heads = text.num_attention_heads
    return {
        "n_layers": text.num_hidden_layers,
        "n_heads": n_heads,
        "n_key_value_heads": getattr(text, "num_key_value_heads", None) or n_heads,
        "d_head": getattr(text, "head_dim", None) or text.hidden_size // n_heads,
        "d_model": text.hidden_size,
        "d_vocab": text.vocab_size,
        "n_parameters": n_parameters,
        "n_block_parameters": n_parameters - n_outside,
    }
