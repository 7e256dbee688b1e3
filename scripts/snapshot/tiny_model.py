"""A random GPT-2 on disk, and SAEs that reconstruct its hook_z, through transformers and sae_lens alone."""

import warnings
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import sae_lens

BOS, END = "<bos>", "<|endoftext|>"


def _tokenizer(lines: tuple[str, ...], n_positions: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 320 tokens, which can encode any text."""
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[BOS, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=n_positions, bos_token=BOS, eos_token=END
    )


def save_tiny_gpt2(folder: Path, lines: tuple[str, ...], sizes: tuple[int, int, int, int]) -> tuple[Any, Any]:
    """The model and its tokenizer, saved. Sizes: layers, heads, d_head, positions."""
    n_layers, n_heads, d_head, n_positions = sizes
    tokenizer = _tokenizer(lines, n_positions)
    bos, end = (tokenizer.get_vocab()[name] for name in (BOS, END))
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=n_positions,
        n_embd=n_heads * d_head,
        n_layer=n_layers,
        n_head=n_heads,
        bos_token_id=bos,
        eos_token_id=end,
        pad_token_id=end,
    )
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config)
    for name, parameter in model.named_parameters():
        _randomise(name, parameter.data)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.eval(), tokenizer


def _randomise(name: str, weight: torch.Tensor) -> None:
    """Set matrices large enough for attention that is far from uniform, and vectors far from 0 and 1."""
    if weight.ndim > 1:
        weight.normal_(std=0.2)
    elif ".ln_" in name and name.endswith("weight"):
        weight.uniform_(0.5, 1.5)
    else:
        weight.normal_(std=0.3)


@torch.no_grad()
def z_of(model: Any, tokenizer: Any, text: str, layer: int, context: int) -> torch.Tensor:
    """hook_z [token d_in] of the text's first 40 sequences, BOS left out: what goes into c_proj."""
    ids = tokenizer.encode(text)
    rows = [ids[i * (context - 1) : (i + 1) * (context - 1)] for i in range(40)]
    rows = [[tokenizer.bos_token_id, *row] for row in rows if len(row) == context - 1]
    read: list[torch.Tensor] = []
    projection = model.transformer.h[layer].attn.c_proj
    hook = projection.register_forward_pre_hook(lambda _module, inputs: read.append(inputs[0].clone()))
    model(torch.tensor(rows))
    hook.remove()
    return read[0][:, 1:].flatten(0, 1)


def fitting_sae(folder: Path, z: torch.Tensor, layer: int, d_sae: int) -> None:
    """Save an SAE whose features are z's principal directions, both ways; the last 4 features are dead."""
    d_in = z.shape[1]
    config = {
        "architecture": "topk",
        "d_in": d_in,
        "d_sae": d_sae,
        "k": d_in,
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "rescale_acts_by_decoder_norm": False,
        "metadata": {
            "hook_name": f"blocks.{layer}.attn.hook_z",
            "model_name": None,
            "hook_head_index": None,
        },
    }
    sae = sae_lens.SAE.from_dict(config)
    mean = z.mean(0)
    _, _, directions = torch.linalg.svd((z - mean).double(), full_matrices=False)
    both = torch.cat([directions, -directions]).float()
    w_dec, b_enc = torch.zeros(d_sae, d_in), torch.full((d_sae,), -1e3)
    w_dec[: len(both)], b_enc[: len(both)] = both, 0
    weights = {"W_enc": w_dec.T.clone(), "W_dec": w_dec, "b_enc": b_enc, "b_dec": mean}
    for name, parameter in sae.named_parameters():
        parameter.data = weights[name].clone().contiguous()
    sae.save_model(folder)
