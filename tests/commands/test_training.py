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

    def run_training(recipe: Any, source: Any, out: Path, device: str, say: Any) -> str:
        say(f"training on {device}")
        asked.extend((recipe, source, out, device))
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
    ended = command("train-sae", *words, "--out", str(tmp_path / "saes"), "--device", "cuda:1")
    assert (ended.code, ended.out) == (0, "FVU .2\n"), ended.err
    assert "training on cuda:1" in ended.err.splitlines()
    recipe, source, out, device = asked
    assert (recipe.layers, recipe.datasets, recipe.seed) == ((0, 1), ("a.txt", "b.txt"), 7)
    assert (recipe.model, recipe.model_revision) == (source.name, source.identity)
    assert recipe.model_revision
    assert (out, device) == (tmp_path / "saes", "cuda:1")


def test_a_device_that_is_not_there_is_one_sentence_and_starts_nothing(
    command: Command, tmp_path: Path
) -> None:
    model, out = save_tiny_gpt2(tmp_path / "model"), tmp_path / "saes"
    words = ["--model", str(model), "--layers", "0", "--dataset", "python-docs", "--device", "cuda:99"]
    ended = command("train-sae", *words, "--out", str(out))
    assert ended.code != 0
    (said,) = ended.errors
    assert "--device cuda:99 cannot be used on this machine: " in said
    assert not out.exists()


def test_a_layer_that_is_no_number_is_one_sentence(command: Command, tmp_path: Path) -> None:
    model = save_tiny_gpt2(tmp_path / "model")
    ended = command(
        "train-sae", "--model", str(model), "--layers", "x", "--dataset", "a.txt", "--out", "saes"
    )
    assert ended.code == 2
    assert len(ended.errors) == 1
