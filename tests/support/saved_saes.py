"""Tiny SAEs saved by the library's own code, and edits that make them bad."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from app.adapters.sae_sources import CONFIG_FILE, WEIGHTS_FILE
from app.domain.records import ModelRecord

with warnings.catch_warnings():
    # The library still imports a TransformerLens module by its former name.
    warnings.filterwarnings("ignore", "The 'utils' module", DeprecationWarning)
    import sae_lens

N_HEADS, D_HEAD, D_SAE, K = 3, 4, 24, 5
D_IN = N_HEADS * D_HEAD
HOOK = "blocks.2.attn.hook_z"
MODEL = ModelRecord(
    name="gpt2",
    revision="main",
    n_layers=4,
    n_heads=N_HEADS,
    n_key_value_heads=N_HEADS,
    d_head=D_HEAD,
    d_model=D_IN,
    d_vocab=50,
    bos_token_id=0,
)
METADATA = {"hook_name": HOOK, "model_name": "gpt2-small", "hook_head_index": None, "context_size": 128}


def new_sae(architecture: str = "standard", **options: Any) -> Any:
    """An inference SAE of the library with random weights."""
    metadata = {**METADATA, **options.pop("metadata", {})}
    config = {"architecture": architecture, "d_in": D_IN, "d_sae": D_SAE, "metadata": metadata, **options}
    return randomised(sae_lens.SAE.from_dict(config))


def randomised(sae: Any) -> Any:
    generator = torch.Generator().manual_seed(4)
    for name, parameter in sae.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = noise.abs() if name == "threshold" else noise * 0.7
    return sae


def saved(folder: Path, architecture: str = "standard", **options: Any) -> Path:
    new_sae(architecture, **options).save_model(folder)
    return folder


def write_legacy(folder: Path, config: dict[str, Any], architecture: str = "standard") -> Path:
    """The same weights under a config as written before 6.0."""
    options = {"k": K} if architecture == "topk" else {}
    saved(folder, architecture, **options)
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    return folder


def edit_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / CONFIG_FILE
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def edit_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    path = folder / WEIGHTS_FILE
    weights = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(weights)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path)


def library_acts(folder: Path, z: Tensor) -> Tensor:
    """What the library's own loading and encode give."""
    sae = sae_lens.SAE.load_from_disk(folder, dtype="float32")
    sae.turn_off_forward_pass_hook_z_reshaping()
    return sae.encode(z).detach()


def random_z(n_tokens: int = 20) -> Tensor:
    return torch.randn(n_tokens, D_IN, generator=torch.Generator().manual_seed(9)) * 2 + 0.3
