"""A model that the library computes otherwise than transformers is refused on loading; planted faults are found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from app.adapters.language_model import Processing
from app.adapters.model_sources import ModelSource, find_model
from app.adapters.path_trace import probe_tokens
from app.adapters.plain_model import ModulePlaces
from app.adapters.self_check import check_against_plain
from app.adapters.transformer_lens_model import TransformerLensModel, load_model
from app.errors import InvalidModel
from tests.support.model_families import save_family

Plant = Callable[[TransformerLensModel], None]


def _source(family: str, tmp_path: Path) -> ModelSource:
    return find_model(str(save_family(family, tmp_path / family)), tmp_path)


@pytest.mark.parametrize("family", ["gemma2", "gpt2", "opt", "qwen3_next"])
@pytest.mark.parametrize("processing", ["raw", "processed"])
def test_a_model_that_is_the_model_passes(family: str, processing: Processing, tmp_path: Path) -> None:
    check = load_model(_source(family, tmp_path), processing).self_check
    assert check is not None
    assert check.worst < 1e-5
    assert check.pattern is not None
    assert check.n_tokens == 12


@pytest.mark.parametrize(("family", "processing"), [("cohere", "raw"), ("gpt_oss", "processed")])
def test_a_family_that_the_library_gets_wrong_is_refused(
    family: str, processing: Processing, tmp_path: Path
) -> None:
    with pytest.raises(
        InvalidModel, match=f"^TransformerLens does not compute {family} as transformers does: "
    ):
        load_model(_source(family, tmp_path), processing)


def test_a_family_that_the_library_cannot_process_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="cannot process the weights of falcon_h1 .*--processing raw"):
        load_model(_source("falcon_h1", tmp_path), "processed")


def test_half_precision_passes_too(tmp_path: Path) -> None:
    source = _source("gpt2", tmp_path)
    for processing in ("raw", "processed"):
        check = load_model(source, processing, "cpu", torch.bfloat16).self_check
        assert check is not None
        assert check.worst < 5e-2


def _drop_a_scale(model: TransformerLensModel) -> None:
    model._bridge.blocks[1].attn.original_component.scaling = 1.0


def _skip_a_norm(model: TransformerLensModel) -> None:
    model._bridge.blocks[1].ln2.forward = lambda hidden_states: hidden_states


def _move_a_hook(model: TransformerLensModel) -> None:
    found = model.all_activations

    def moved(tokens: Tensor) -> Any:
        logits, z, pattern = found(tokens)
        return logits, {layer: z[(layer + 1) % len(z)] for layer in z}, pattern

    model.all_activations = moved  # type: ignore[method-assign]


def _swap_rotary_pairs(model: TransformerLensModel) -> None:
    """Rotate neighbours, where the model rotates halves: as if queries and keys were interleaved."""
    order = torch.arange(8).view(2, 4).T.flatten()
    for part in ("q", "k"):
        linear = getattr(model._bridge.blocks[1].attn, part).original_component
        linear.weight.data = linear.weight.data.unflatten(0, (-1, 8))[:, order].flatten(0, 1)


PLANTED = {
    "a scale dropped": _drop_a_scale,
    "a norm skipped": _skip_a_norm,
    "a hook moved by one layer": _move_a_hook,
    "rotary pairs in another order": _swap_rotary_pairs,
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=list(PLANTED))
def test_a_planted_fault_is_found(plant: Plant, tmp_path: Path) -> None:
    source = _source("llama", tmp_path)
    model = load_model(source, check=False)
    places = ModulePlaces.of(model._bridge, model.attention_layers)
    tokens = probe_tokens(model._bridge, 0)
    assert check_against_plain(model, source, places, tokens).worst < 1e-5
    plant(model)
    with pytest.raises(InvalidModel, match="^TransformerLens does not compute llama as transformers does"):
        check_against_plain(model, source, places, tokens)
