"""Training lowers the error, goes on where it was stopped, and leaves SAEs that load as any other."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from app.adapters.sae_formats import LocalSae, load_sae
from app.adapters.transformer_lens_model import TransformerLensModel
from app.errors import InvalidSae
from app.training.activation_stream import ActivationStream
from app.training.quality import quality_report
from app.training.recipe import InvalidRecipe, Recipe
from app.training.train import finish
from tests.support.training_runs import sequences_of, small_recipe, trained

pytestmark = pytest.mark.slow

WEIGHTS = "sae_weights.safetensors"
N_STEPS = 90  # a checkpoint every 10 of them


class Stopped(Exception):
    """Stands in for a kill between two steps."""


class StoppingStream(ActivationStream):
    """Gives out after so many batches."""

    stop_at = 10**9

    def __next__(self) -> Any:
        if self.position >= self.stop_at:
            raise Stopped
        return super().__next__()


def _stopped(recipe: Recipe, model: TransformerLensModel, folder: Path, at: int) -> None:
    stream = StoppingStream(model, sequences_of(recipe, model, folder), recipe)
    stream.stop_at = at
    with pytest.raises(Stopped):
        trained(recipe, model, folder, stream)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.glob("layer_*/*"))
        if path.is_file()
    }


def _fvu(recipe: Recipe, model: TransformerLensModel, folder: Path) -> list[float]:
    saes = {
        layer: load_sae(LocalSae(folder / f"layer_{layer}"), model.record).coder for layer in recipe.layers
    }
    rows = quality_report(model, sequences_of(recipe, model, folder), saes, n_loss_sequences=4)
    return [row.fvu for row in rows]


@pytest.mark.parametrize("kind", ["topk", "standard"])
def test_longer_training_explains_more(
    model: TransformerLensModel, folder: Path, other_folder: Path, kind: Any
) -> None:
    long, short = small_recipe(kind=kind), small_recipe(kind=kind, n_tokens=10 * 128)
    trained(long, model, folder)
    trained(short, model, other_folder)
    after, before = _fvu(long, model, folder), _fvu(short, model, other_folder)
    assert all(a < b / 2 for a, b in zip(after, before, strict=True))
    assert max(after) < 0.5


def test_saved_saes_load_with_what_they_were_trained_on(model: TransformerLensModel, folder: Path) -> None:
    recipe = small_recipe(processing="processed", n_tokens=10 * 128)
    folders = trained(recipe, model, folder)
    assert [path.name for path in folders] == ["layer_0", "layer_1"]
    for layer, path in enumerate(folders):
        assert sorted(file.name for file in path.iterdir()) == ["cfg.json", WEIGHTS]
        assert {tensor.dtype for tensor in load_file(path / WEIGHTS).values()} == {torch.float16}
        sae = load_sae(LocalSae(path), model.record)
        assert (sae.layer, sae.processing, sae.architecture) == (layer, "processed", "topk")
        assert (sae.normalize_activations, sae.training_context_size) == ("none", 32)
        assert (sae.coder.n_heads, sae.coder.d_head, sae.coder.d_sae) == (4, 8, 64)
    assert not list(folder.glob("*.tmp*"))


@pytest.mark.parametrize(("kind", "stop_at"), [("topk", 70), ("standard", 45), ("topk", 15)])
def test_a_resumed_run_ends_in_the_same_bytes(
    model: TransformerLensModel, folder: Path, other_folder: Path, kind: Any, stop_at: int
) -> None:
    recipe = small_recipe(kind=kind, n_tokens=N_STEPS * 128)
    trained(recipe, model, other_folder)
    _stopped(recipe, model, folder, stop_at)
    checkpoints = list((folder / "checkpoints").glob("*"))
    assert len(checkpoints) == (stop_at > 20)
    assert not _files(folder)
    trained(recipe, model, folder)
    assert _files(folder) == _files(other_folder)


def test_a_checkpoint_without_its_last_file_is_not_used(
    model: TransformerLensModel, folder: Path, other_folder: Path
) -> None:
    recipe = small_recipe(layers=(0,), n_tokens=N_STEPS * 128)
    trained(recipe, model, other_folder)
    _stopped(recipe, model, folder, 50)
    (checkpoint,) = (folder / "checkpoints").iterdir()
    (checkpoint / "position.json").unlink()
    (checkpoint / "0" / "sae_weights.safetensors").write_bytes(b"half")
    trained(recipe, model, folder)
    assert _files(folder) == _files(other_folder)


def test_a_damaged_checkpoint_is_left_out(
    model: TransformerLensModel, folder: Path, other_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = small_recipe(layers=(0,), n_tokens=N_STEPS * 128)
    trained(recipe, model, other_folder)
    _stopped(recipe, model, folder, 50)
    (checkpoint,) = (folder / "checkpoints").iterdir()
    weights = checkpoint / "0" / "sae_weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    trained(recipe, model, folder)
    assert _files(folder) == _files(other_folder)
    assert f"{weights} is damaged, and the checkpoint is left out" in caplog.messages


def test_going_on_starts_at_the_checkpoint(
    model: TransformerLensModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small_recipe(layers=(0,), n_tokens=N_STEPS * 128)
    _stopped(recipe, model, folder, 70)
    (checkpoint,) = (folder / "checkpoints").iterdir()
    position = json.loads((checkpoint / "position.json").read_text())
    assert position == int(checkpoint.name) // recipe.batch_tokens + 8  # the scale took 8 batches
    served: list[int] = []
    following = ActivationStream.__next__

    def spy(stream: ActivationStream) -> Any:
        served.append(stream.position)
        return following(stream)

    monkeypatch.setattr(ActivationStream, "__next__", spy)
    trained(recipe, model, folder)
    assert served == list(range(position, recipe.n_steps + 8))


def test_a_finished_run_is_not_trained_again(model: TransformerLensModel, folder: Path) -> None:
    recipe = small_recipe(n_tokens=10 * 128)
    before = trained(recipe, model, folder)
    files = _files(folder)
    finish(folder)
    assert not (folder / "checkpoints").exists()
    stream = StoppingStream(model, sequences_of(recipe, model, folder), recipe)
    stream.stop_at = 0
    assert trained(recipe, model, folder, stream) == before
    assert _files(folder) == files


def test_other_options_in_the_same_folder_are_refused(model: TransformerLensModel, folder: Path) -> None:
    trained(small_recipe(n_tokens=10 * 128), model, folder)
    files = _files(folder)
    with pytest.raises(InvalidRecipe, match="was started with k=8, not 4; choose another --out"):
        trained(small_recipe(n_tokens=10 * 128, k=4), model, folder)
    assert _files(folder) == files


def test_an_sae_that_cannot_be_used_is_not_handed_over(
    model: TransformerLensModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.Tensor, "half", lambda tensor: tensor.to(torch.float16) * float("inf"))
    with pytest.raises(InvalidSae, match="layer_0"):
        trained(small_recipe(layers=(0,), n_tokens=10 * 128), model, folder)
