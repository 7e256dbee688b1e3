"""Inputs that both tools can read: the embedded model's folder, a token array, and random SAEs of a known density."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from app.adapters.corpora import Corpus, tokenise
from app.adapters.language_model import LanguageModel
from app.adapters.model_sources import EMBEDDED, find_model
from app.adapters.text_sources import PYTHON_DOCS, open_text_source
from app.adapters.transformer_lens_model import load_model
from app.settings import Settings

CONTEXT = 128
D_SAE, N_ACTIVE = 4608, 32
FIVE_LAYERS = (1, 8, 15, 17, 24)
N_FITTED = 16  # sequences that the encoder's biases are set on


@dataclass(frozen=True)
class JobInputs:
    """Where the inputs lie: a model as transformers saves it, tokens [n_sequences CONTEXT], one SAE per layer."""

    model: Path
    tokens: Path
    saes: tuple[Path, ...]


def make_inputs(folder: Path, layers: Sequence[int], n_sequences: int) -> JobInputs:
    """Tokens of Python's documentation, and for each of the layers, if any, a random SAE."""
    source = find_model(EMBEDDED, Settings().cache_dir)
    model = load_model(source)
    corpus = tokenise(open_text_source(PYTHON_DOCS), model.tokenizer, folder / "corpus", CONTEXT, n_sequences)
    path = folder / "tokens.npy"
    np.save(path, np.asarray(corpus.tokens).astype(np.int32))
    saes = make_saes(folder, model, corpus, layers) if layers else ()
    return JobInputs(Path(source.location), path, tuple(saes))


def make_saes(folder: Path, model: LanguageModel, corpus: Corpus, layers: Sequence[int]) -> list[Path]:
    """For each layer a standard SAE whose encoder is the transpose of a random decoder of unit rows.

    Each feature's bias leaves it active on the N_ACTIVE / D_SAE of tokens that fit it best.
    """
    tokens = torch.from_numpy(np.asarray(corpus.tokens[:N_FITTED]).astype(np.int64))
    counted = torch.from_numpy(corpus.counted(0, len(tokens)))
    activations = model.activations(tokens, layers)
    return [make_sae(folder / f"sae-{layer}", layer, activations[layer].z[counted]) for layer in layers]


def make_sae(folder: Path, layer: int, z: torch.Tensor) -> Path:
    """Write one SAE. z: [n n_heads d_head], of the tokens that set its density."""
    z, generator = z.flatten(1), torch.Generator().manual_seed(layer)
    w_dec = torch.nn.functional.normalize(torch.randn(D_SAE, z.shape[1], generator=generator), dim=1)
    threshold = (z @ w_dec.T).quantile(1 - N_ACTIVE / D_SAE, dim=0)
    config = {
        "architecture": "standard",
        "d_in": z.shape[1],
        "d_sae": D_SAE,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "hook_z",
        "metadata": {"hook_name": f"blocks.{layer}.attn.hook_z", "hook_head_index": None},
    }
    folder.mkdir(parents=True)
    (folder / "cfg.json").write_text(json.dumps(config))
    weights = {
        "W_enc": w_dec.T.contiguous(),
        "W_dec": w_dec,
        "b_enc": -threshold,
        "b_dec": torch.zeros(z.shape[1]),
    }
    save_file(weights, folder / "sae_weights.safetensors")
    return folder
