"""head-atlas train-sae: what its options make of a recipe; the training itself is tested where it is."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Command
from tests.support.tiny_models import save_tiny_gpt2


def test_options_become_the_recipe_of_a_training_run(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Any] = []

    def run_training(recipe: Any, source: Any, out: Path) -> str:
        asked.extend((recipe, source, out))
        return "FVU .2"

    monkeypatch.setattr("app.training.run.run_training", run_training)
    model = save_tiny_gpt2(tmp_path / "model")
    words = [
        "--model",
        str(model),
        "--layers",
        "0-1",
        "--dataset",
        "a.txt",
        "--dataset",
        "b.txt",
        "--seed",
        "7",
    ]
    ended = command("train-sae", *words, "--out", str(tmp_path / "saes"))
    assert (ended.code, ended.out) == (0, "FVU .2\n"), ended.err
    recipe, source, out = asked
    assert (recipe.layers, recipe.datasets, recipe.seed) == ((0, 1), ("a.txt", "b.txt"), 7)
    assert (recipe.model, recipe.model_revision) == (source.name, source.identity)
    assert recipe.model_revision
    assert out == tmp_path / "saes"


def test_a_layer_that_is_no_number_is_one_sentence(command: Command, tmp_path: Path) -> None:
    model = save_tiny_gpt2(tmp_path / "model")
    ended = command(
        "train-sae", "--model", str(model), "--layers", "x", "--dataset", "a.txt", "--out", "saes"
    )
    assert ended.code == 2
    assert len(ended.errors) == 1
