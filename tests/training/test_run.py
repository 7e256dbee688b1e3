"""A training run from options to a folder that can be shipped."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.adapters.model_sources import ModelSource
from app.adapters.text_sources import open_text_source
from app.adapters.transformer_lens_model import TransformerLensModel
from app.errors import InvalidCorpus
from app.training import run, train
from app.training.quality import quality_table, read_report
from app.training.recipe import InvalidRecipe, Recipe
from app.training.run import gather_sequences, run_training
from tests.support.training_runs import small_recipe

SHORT = 10 * 128


def _array(path: Path, context_size: int = 32, n_sequences: int = 40) -> Path:
    tokens = np.random.default_rng(0).integers(2, 320, (n_sequences, context_size))
    tokens[:, 0] = 0
    np.save(path, tokens)
    return path


def test_a_run_leaves_saes_recipe_corpus_and_quality(
    source: ModelSource, folder: Path, tmp_path: Path
) -> None:
    given = _array(tmp_path / "given.npy")
    recipe = small_recipe(datasets=("python-docs", str(given)), n_tokens=SHORT)
    text = run_training(recipe, source, folder)
    names = {path.name for path in folder.iterdir()} - {"corpora"}
    assert names == {"recipe.json", "corpus.json", "quality.json", "quality.md", "layer_0", "layer_1"}
    rows = read_report(folder)
    assert rows is not None
    assert text == quality_table(rows) == (folder / "quality.md").read_text()
    assert [row.layer for row in rows] == [0, 1]
    for row in rows:
        assert row.fvu_int8 == pytest.approx(row.fvu, abs=0.002)
        assert row.l0_int8 == pytest.approx(row.l0, abs=0.1)
    docs, array = json.loads((folder / "corpus.json").read_text())
    assert set(docs) == {"name", "identity", "n_sequences", "n_tokens", "n_held_out"}
    assert (docs["name"], docs["identity"]) == ("python-docs", open_text_source("python-docs").identity())
    assert (array["name"], array["n_sequences"], array["n_tokens"]) == ("given.npy", 40, 40 * 31)
    assert docs["n_held_out"] + array["n_held_out"] == recipe.held_out_sequences
    assert 0.9 * 31 < docs["n_tokens"] / docs["n_sequences"] <= 31
    for path in folder.glob("*.json"):
        assert str(tmp_path) not in path.read_text()


def test_a_finished_run_is_only_reported(
    source: ModelSource, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small_recipe(layers=(1,), n_tokens=SHORT)
    text = run_training(recipe, source, folder)
    monkeypatch.setattr("app.training.run.load_model", lambda *_, **__: pytest.fail("the model was loaded"))
    assert run_training(recipe, source, folder) == text
    with pytest.raises(InvalidRecipe, match="was started with seed=0, not 1"):
        run_training(replace(recipe, seed=1), source, folder)


@pytest.mark.parametrize("device", ["auto", "cpu:0"])  # torch's second name of the CPU stands in for a device
def test_model_and_saes_are_on_the_device_that_was_asked_for(
    source: ModelSource,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    models, trainers, saes = list[Any](), list[Any](), list[Any]()
    load, make, new = run.load_model, train._make_trainer, train._new_sae
    monkeypatch.setattr(run, "load_model", lambda *given: models.append(given[2]) or load(*given))
    monkeypatch.setattr(train, "_make_trainer", lambda *given: trainers.append(make(*given)) or trainers[0])
    monkeypatch.setattr(train, "_new_sae", lambda *given: saes.append(new(*given)) or saes[-1])
    with caplog.at_level("INFO"):
        run_training(small_recipe(n_tokens=SHORT), source, folder, device)
    used = "cpu" if device == "auto" else device
    assert models == [used]
    assert [trainer.cfg.device for trainer in trainers] == [used]
    assert [sae.cfg.device for sae in saes] == [used, used]
    said = [record.getMessage() for record in caplog.records if record.name == run.log.name]
    assert said[0] == f"training on {used}, float32, torch threads: {torch.get_num_threads()}"


def test_a_context_beyond_the_model_is_refused(source: ModelSource, tmp_path: Path) -> None:
    with pytest.raises(InvalidRecipe, match=r"--context-size 65 is more than tiny can read \(64\)"):
        run_training(small_recipe(context_size=65), source, tmp_path / "out")


def test_an_array_of_another_length_is_refused(model: TransformerLensModel, tmp_path: Path) -> None:
    recipe = small_recipe(datasets=(str(_array(tmp_path / "given.npy", context_size=16)),))
    with pytest.raises(InvalidCorpus, match=r"given\.npy has sequences of 16 tokens, not --context-size 32"):
        gather_sequences(recipe, model, tmp_path)


def test_an_array_without_text_is_refused(model: TransformerLensModel, tmp_path: Path) -> None:
    np.save(tmp_path / "given.npy", np.zeros((40, 32), int))
    recipe = small_recipe(datasets=(str(tmp_path / "given.npy"),))
    with pytest.raises(InvalidCorpus, match=r"given\.npy has 0 usable tokens"):
        gather_sequences(recipe, model, tmp_path)


def test_the_make_up_is_that_of_the_day_it_was_tokenised(model: TransformerLensModel, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("The dog sleeps on. " * 400)
    recipe: Recipe = small_recipe(datasets=(str(text),), held_out_sequences=2)
    gather_sequences(recipe, model, tmp_path / "run")
    before = (tmp_path / "run" / "corpus.json").read_bytes()
    text.write_text("changed")
    assert gather_sequences(recipe, model, tmp_path / "run").held_out.tolist()
    assert (tmp_path / "run" / "corpus.json").read_bytes() == before
