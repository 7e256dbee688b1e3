"""The data of a run is a function of the position in it, and holds text only."""

from pathlib import Path

import numpy as np
import pytest
import torch

from app.adapters.corpora import Corpus
from app.adapters.transformer_lens_model import TransformerLensModel
from app.training.activation_stream import ActivationStream, HookBatch, Sequences, hook_name
from app.training.recipe import InvalidRecipe, Recipe
from tests.support.training_runs import sequences_of, small_recipe

NAME = hook_name(1)


def _read(stream: ActivationStream, n_batches: int) -> list[HookBatch]:
    return [next(stream) for _ in range(n_batches)]


def _nearest(rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist").amin(1)


def _padded_corpus(n_sequences: int, context_size: int = 32, first: int = 2) -> Corpus:
    """Sequences of different lengths, BOS once more in the middle of each."""
    tokens = np.arange(n_sequences * context_size).reshape(n_sequences, context_size) % 300 + first
    tokens[:, 0] = 0
    tokens[:, 9] = 0
    lengths = np.where(np.arange(n_sequences) % 2, context_size, context_size - 6).astype(np.int32)
    return Corpus(("padded",), tokens.astype(np.int32), lengths, bos_token_id=0, checksum="")


def test_a_batch_does_not_depend_on_where_the_stream_was_entered(
    model: TransformerLensModel, folder: Path
) -> None:
    recipe = small_recipe()
    sequences = sequences_of(recipe, model, folder)
    per_buffer = recipe.batches_per_buffer
    assert per_buffer == 7
    batches = _read(ActivationStream(model, sequences, recipe), 2 * per_buffer + 3)
    for position in (0, 3, per_buffer - 1, per_buffer, 2 * per_buffer + 2):
        entered = ActivationStream(model, sequences, recipe)
        entered.position = position
        found = next(entered)
        assert list(found) == [hook_name(0), hook_name(1)]
        assert entered.position == position + 1
        for name, rows in found.items():
            assert rows.shape == (recipe.batch_tokens, 32)
            assert torch.equal(rows, batches[position][name])
    assert not torch.equal(batches[0][NAME], batches[per_buffer][NAME])


def test_bos_and_padding_never_appear_and_all_text_does(model: TransformerLensModel) -> None:
    corpus = _padded_corpus(40)
    recipe = small_recipe(batch_tokens=64, n_tokens=640, buffer_sequences=32, held_out_sequences=8)
    sequences = Sequences([corpus], recipe.held_out_sequences, recipe.seed)
    served = torch.cat([batch[NAME] for batch in _read(ActivationStream(model, sequences, recipe), 15)])
    tokens, counted = sequences.rows(sequences.training[: recipe.buffer_sequences])
    assert not counted[:, [0, 9]].any()
    assert not counted[corpus.lengths[sequences.training[:32]] == 26, 26:].any()
    z = model.hook_z(torch.from_numpy(tokens), [1])[1].flatten(-2)
    allowed, banned = z[torch.from_numpy(counted)], z[torch.from_numpy(~counted)]
    assert _nearest(served, allowed).max() < 1e-4
    assert _nearest(served, banned).min() > 1e-3
    n_allowed = len(allowed)
    seen = _nearest(allowed, served) < 1e-4
    assert n_allowed - int(seen.sum()) <= max(0, n_allowed - len(served))


def test_held_out_sequences_are_never_trained_on(model: TransformerLensModel) -> None:
    corpora = [_padded_corpus(13), _padded_corpus(7, first=5)]
    sequences = Sequences(corpora, held_out=6, seed=0)
    together = np.concatenate([sequences.held_out, sequences.training])
    assert sorted(together.tolist()) == list(range(20))
    assert len(sequences.held_out) == 6
    assert sum(sequences.n_held_out()) == 6
    assert sequences.n_held_out()[1] == int((sequences.held_out >= 13).sum())
    again = Sequences(corpora, held_out=6, seed=0)
    assert np.array_equal(again.training, sequences.training)
    assert not np.array_equal(Sequences(corpora, held_out=6, seed=1).training, sequences.training)


def test_rows_come_from_the_right_corpus() -> None:
    corpora = [_padded_corpus(3), _padded_corpus(2, first=5)]
    tokens, counted = Sequences(corpora, held_out=1, seed=0).rows(np.array([4, 0, 3, 2]))
    expected = [corpora[1].tokens[1], corpora[0].tokens[0], corpora[1].tokens[0], corpora[0].tokens[2]]
    assert tokens.tolist() == np.stack(expected).tolist()
    assert np.array_equal(counted[0], corpora[1].counted(1, 2)[0])


@pytest.mark.parametrize("held_out", [20, 21])
def test_too_few_sequences_are_refused(held_out: int) -> None:
    with pytest.raises(InvalidRecipe, match=f"^20 sequences are too few to hold {held_out} out$"):
        Sequences([_padded_corpus(20)], held_out, seed=0)


def test_a_short_corpus_is_read_again_and_again(model: TransformerLensModel) -> None:
    recipe = Recipe(
        model="tiny",
        model_revision="1",
        layers=(1,),
        datasets=("x",),
        context_size=32,
        batch_tokens=64,
        buffer_sequences=16,
        n_tokens=640,
    )
    stream = ActivationStream(model, Sequences([_padded_corpus(6)], 1, 0), recipe)
    assert all(len(batch[NAME]) == 64 for batch in _read(stream, 20))
