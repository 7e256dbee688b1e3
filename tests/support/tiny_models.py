"""Tiny random language models on disk, each with a byte-level tokenizer of its own beside it."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BOS = "<bos>"
END = "<|endoftext|>"
CONTEXT = 64
_LINES = (
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on.",
    "When Mary and John went to the store, John gave a drink to Mary.",
    "def head(values, index):\n    return values[index]\n",
    "One, two, three, four; one, two, three, four. Naïve café: 10 €.",
)


def byte_level_tokenizer(bos: str | None = BOS, end: str | None = END) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 320 tokens, which can encode any text; it adds no special tokens."""
    special = {"bos_token": bos, "eos_token": end}
    special = {name: token for name, token in special.items() if token is not None}
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(special.values()),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_LINES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=CONTEXT, **special)


def save_tiny_gpt2(
    folder: Path,
    seed: int = 0,
    n_layers: int = 2,
    n_heads: int = 4,
    d_head: int = 8,
    bos: str | None = BOS,
    end: str | None = END,
) -> Path:
    """A random GPT-2 whose norm weights and biases and value biases are not the neutral ones of a fresh model.

    Folding them into other weights moves hook_z, so the two weight processings can be told apart.
    """
    tokenizer = byte_level_tokenizer(bos, end)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=CONTEXT,
        n_embd=n_heads * d_head,
        n_layer=n_layers,
        n_head=n_heads,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    return _save(GPT2LMHeadModel, config, tokenizer, folder, seed)


def save_tiny_llama(
    folder: Path,
    seed: int = 0,
    n_layers: int = 2,
    n_heads: int = 4,
    n_key_value_heads: int = 2,
    d_head: int = 8,
) -> Path:
    """A random Llama with grouped-query heads: each key-value head serves several heads."""
    tokenizer = byte_level_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=CONTEXT,
        hidden_size=n_heads * d_head,
        intermediate_size=2 * n_heads * d_head,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        num_key_value_heads=n_key_value_heads,
        head_dim=d_head,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    return _save(LlamaForCausalLM, config, tokenizer, folder, seed)


def _save(model_class: Any, config: Any, tokenizer: Any, folder: Path, seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config)
        for name, parameter in model.named_parameters():
            _randomise(name, parameter.data)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _randomise(name: str, weight: torch.Tensor) -> None:
    """Matrices large enough for attention that is far from uniform; vectors far from 0 and 1."""
    is_norm = "norm" in name or ".ln_" in name
    if weight.ndim > 1:
        weight.normal_(std=0.2)
    elif is_norm and name.endswith("weight"):
        weight.uniform_(0.5, 1.5)
    else:
        weight.normal_(std=0.3)
