"""Small training runs on a tiny model."""

from pathlib import Path
from typing import Any

from app.adapters.transformer_lens_model import TransformerLensModel
from app.training.activation_stream import ActivationStream, Sequences
from app.training.recipe import Recipe
from app.training.run import gather_sequences
from app.training.train import train


def small_recipe(**options: Any) -> Recipe:
    """200 steps of 128 tokens on layers 0 and 1 of a tiny model."""
    chosen: dict[str, Any] = {
        "model": "tiny",
        "model_revision": "1",
        "layers": (0, 1),
        "datasets": ("python-docs",),
        "d_sae": 64,
        "k": 8,
        "l1_coefficient": 0.05,
        "n_tokens": 200 * 128,
        "context_size": 32,
        "batch_tokens": 128,
        "buffer_sequences": 32,
        "forward_sequences": 16,
        "lr": 3e-3,
        "held_out_sequences": 24,
    }
    return Recipe(**(chosen | options))


def sequences_of(recipe: Recipe, model: TransformerLensModel, folder: Path) -> Sequences:
    return gather_sequences(recipe, model, folder)


def trained(recipe: Recipe, model: TransformerLensModel, folder: Path, stream: Any = None) -> list[Path]:
    """Train in the folder; `stream` stands in for the usual one."""
    if stream is None:
        stream = ActivationStream(model, sequences_of(recipe, model, folder), recipe)
    return train(recipe, model.record, stream, folder)
