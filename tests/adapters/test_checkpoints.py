"""A checkpoint that is not exactly its architecture's is refused by name, before anything runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from app.adapters.model_sources import find_model
from app.adapters.transformer_lens_model import TransformerLensModel, load_model
from app.errors import InvalidModel
from tests.support.tiny_models import save_tiny_gpt2, save_tiny_llama

Weights = dict[str, Tensor]
MODELS: dict[str, Callable[[Path], Path]] = {"gpt2": save_tiny_gpt2, "llama": save_tiny_llama}
FILES: dict[str, Callable[[Weights, Path], None]] = {
    "model.safetensors": lambda weights, path: save_file(weights, path, {"format": "pt"}),
    "pytorch_model.bin": lambda weights, path: torch.save(weights, path),
}


@pytest.fixture(scope="module", params=MODELS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MODELS[request.param](tmp_path_factory.mktemp("whole") / "tiny")


def weights_of(folder: Path) -> Weights:
    return load_file(folder / "model.safetensors")


def loaded(
    whole: Path, weights: Weights, folder: Path, file: str = "model.safetensors"
) -> TransformerLensModel:
    """The model with these weights in place of its own."""
    folder.mkdir(exist_ok=True)
    for path in whole.iterdir():
        if path.suffix == ".json":
            (folder / path.name).write_bytes(path.read_bytes())
    FILES[file](weights, folder / file)
    return load_model(find_model(str(folder), folder))


def refused(whole: Path, weights: Weights, folder: Path, file: str = "model.safetensors") -> str:
    with pytest.raises(InvalidModel) as caught:
        loaded(whole, weights, folder, file)
    message = str(caught.value)
    assert message.startswith(f"the model {folder.name} cannot be used: its weight")
    assert "\n" not in message
    return message


def test_each_weight_that_is_missing_is_named(whole: Path, tmp_path: Path) -> None:
    for name in (weights := weights_of(whole)):
        rest = {key: tensor for key, tensor in weights.items() if key != name}
        message = refused(whole, rest, tmp_path)
        assert "its weights lack " in message
        assert name in message  # beside the one that is tied to it


def test_each_weight_of_a_shape_that_only_broadcasts_is_named(whole: Path, tmp_path: Path) -> None:
    for name, tensor in (weights := weights_of(whole)).items():
        one = tensor[:1].clone()
        message = refused(whole, weights | {name: one}, tmp_path)
        assert f"its weight {name} has shape {tuple(one.shape)}, and the model needs" in message
        assert str(tuple(tensor.shape)) in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_each_weight_that_is_not_finite_is_named(whole: Path, tmp_path: Path, value: float) -> None:
    for name, tensor in (weights := weights_of(whole)).items():
        odd = tensor.clone()
        odd.view(-1)[-1] = value
        assert f"NaN or infinite numbers in float32: {name}" in refused(
            whole, weights | {name: odd}, tmp_path
        )


@pytest.mark.parametrize("file", FILES)
def test_every_kind_of_file_is_checked(whole: Path, tmp_path: Path, file: str) -> None:
    weights = weights_of(whole)
    first, *rest = weights
    assert "lack" in refused(whole, {name: weights[name] for name in rest}, tmp_path, file)
    surplus = weights | {"score.weight": torch.ones(2, 32)}
    assert "its weights hold score.weight, unknown to the model" in refused(whole, surplus, tmp_path, file)
    assert "has shape" in refused(whole, weights | {first: weights[first][:1].clone()}, tmp_path, file)
    loaded(whole, weights, tmp_path, file)


def test_many_missing_weights_are_counted(whole: Path, tmp_path: Path) -> None:
    weights = weights_of(whole)
    embedding = {key: tensor for key, tensor in weights.items() if "wte" in key or "embed" in key}
    message = refused(whole, embedding, tmp_path)
    assert f" and {len(weights) - 1 - 3} more, which the model needs" in message


def test_what_an_architecture_ties_or_derives_may_be_there_or_not(whole: Path, tmp_path: Path) -> None:
    """The tied unembedding is in no saved file; masks and rotary tables were in those of older versions."""
    weights = weights_of(whole)
    assert "lm_head.weight" not in weights
    prefix = "transformer.h.0.attn" if "transformer.wte.weight" in weights else "model.layers.0.self_attn"
    table, embedding = (
        torch.ones(1, 1, 64, 64),
        next(key for key in weights if "wte" in key or "embed" in key),
    )
    old = weights | {
        f"{prefix}.bias": table,
        f"{prefix}.masked_bias": torch.tensor(-1e4),
        f"{prefix}.rotary_emb.inv_freq": torch.ones(4),
        "lm_head.weight": weights[embedding].clone(),
    }
    tokens = torch.tensor([[0, 5, 6, 7]])
    expected = load_model(find_model(str(whole), whole)).loss(tokens)
    assert torch.equal(loaded(whole, old, tmp_path).loss(tokens), expected)


def test_an_unembedding_that_is_not_tied_is_needed(whole: Path, tmp_path: Path) -> None:
    path = whole / "config.json"
    tied = path.read_text()
    try:
        path.write_text(tied.replace('"tie_word_embeddings": true', '"tie_word_embeddings": false'))
        assert "its weights lack lm_head.weight" in refused(whole, weights_of(whole), tmp_path)
    finally:
        path.write_text(tied)


def test_numbers_too_large_for_the_type_are_named(whole: Path, tmp_path: Path) -> None:
    weights = weights_of(whole)
    name = next(iter(weights))
    weights[name] = weights[name] * 1e7
    loaded(whole, weights, tmp_path)
    with pytest.raises(InvalidModel, match="NaN or infinite numbers in float16"):
        load_model(find_model(str(tmp_path), tmp_path), dtype=torch.float16)
