"""Shuffled hook_z activations of several layers, a pure function of the position in the data.

Sequences are permuted once; a buffer holds the activations of a block of them, and its tokens are permuted before
they are served in batches. Batch i is the same whether the stream is read from the start or entered at i, so a
resumed run sees exactly the data that it would have seen.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from app.adapters.corpora import Corpus
from app.adapters.transformer_lens_model import TransformerLensModel
from app.training.recipe import InvalidRecipe, Recipe

HookBatch = dict[str, Float[Tensor, "token d_in"]]


def hook_name(layer: int) -> str:
    """The name of a layer's hook_z in SAE configs and in TransformerLens."""
    return f"blocks.{layer}.attn.hook_z"


class Sequences:
    """All sequences of several corpora behind one index, split into training and held-out parts."""

    def __init__(self, corpora: list[Corpus], held_out: int, seed: int) -> None:
        """Split the sequences of the corpora. Raises InvalidRecipe when none is left to train on."""
        self.corpora = corpora
        starts = np.cumsum([0, *(corpus.n_sequences for corpus in corpora)])
        self._starts = starts
        order = np.random.default_rng(seed).permutation(int(starts[-1]))
        if held_out >= len(order):
            raise InvalidRecipe(f"{len(order)} sequences are too few to hold {held_out} out")
        self.held_out: NDArray[np.int64] = order[:held_out]
        self.training: NDArray[np.int64] = order[held_out:]

    def n_held_out(self) -> list[int]:
        """How many sequences of each corpus are held out."""
        which = np.searchsorted(self._starts, self.held_out, side="right") - 1
        return np.bincount(which, minlength=len(self.corpora)).tolist()

    def rows(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Token ids and counted mask of the given sequences, each [sequence, context]."""
        tokens, counted = [], []
        for index in indices:
            which = int(np.searchsorted(self._starts, index, side="right")) - 1
            row = int(index - self._starts[which])
            tokens.append(self.corpora[which].tokens[row].astype(np.int64))
            counted.append(self.corpora[which].counted(row, row + 1)[0])
        return np.stack(tokens), np.stack(counted)


class ActivationStream:
    """An iterator of batches {hook name: [batch_tokens, d_in]}, without BOS and padding."""

    def __init__(self, model: TransformerLensModel, sequences: Sequences, recipe: Recipe) -> None:
        self._model, self._sequences, self._recipe = model, sequences, recipe
        self._buffer_index = -1
        self._buffer: HookBatch = {}
        self.position = 0  # batches served

    def __iter__(self) -> "ActivationStream":
        return self

    def __next__(self) -> HookBatch:
        size = self._recipe.batch_tokens
        index, offset = divmod(self.position, self._recipe.batches_per_buffer)
        if index != self._buffer_index:
            self._fill(index)
        self.position += 1
        part = slice(offset * size, (offset + 1) * size)
        return {name: rows[part] for name, rows in self._buffer.items()}

    def _fill(self, index: int) -> None:
        recipe, pool = self._recipe, self._sequences.training
        indices = (np.arange(recipe.buffer_sequences) + index * recipe.buffer_sequences) % len(pool)
        tokens, counted = self._sequences.rows(pool[indices])
        parts = list(self._forward(tokens, counted))
        joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        n_tokens = len(next(iter(joined.values())))
        need = recipe.batches_per_buffer * recipe.batch_tokens
        order = np.random.default_rng([recipe.seed, index]).permutation(n_tokens)
        order = np.resize(order, need)  # repeats a few tokens where padding left too few
        self._buffer = {name: rows[torch.from_numpy(order)] for name, rows in joined.items()}
        self._buffer_index = index

    def _forward(self, tokens: NDArray[np.int64], counted: NDArray[np.bool_]) -> Iterator[HookBatch]:
        step, layers = self._recipe.forward_sequences, self._recipe.layers
        for start in range(0, len(tokens), step):
            batch = torch.from_numpy(tokens[start : start + step])
            mask = torch.from_numpy(counted[start : start + step])
            z = self._model.hook_z(batch, layers)
            yield {hook_name(layer): z[layer].flatten(-2)[mask.to(z[layer].device)] for layer in layers}
