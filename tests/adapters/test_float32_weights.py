"""A model in half precision that computes in float32 for a while: what rounding hid is seen, and nothing stays."""

from pathlib import Path

import pytest
import torch

from app.adapters.float32_weights import float32_weights
from app.adapters.language_model import Processing
from app.adapters.model_sources import find_model
from app.adapters.path_trace import probe_tokens
from app.adapters.plain_model import ModulePlaces, plain_activations
from app.adapters.self_check import compare
from app.adapters.transformer_lens_model import load_model
from tests.parity.rounding import of_allowed
from tests.support.model_families import save_family
from tests.support.planted_faults import planted


@pytest.mark.parametrize("processing", ["raw", "processed"])
def test_weights_are_float32_meanwhile_and_come_back(processing: Processing, tmp_path: Path) -> None:
    source = find_model(str(save_family("llama", tmp_path / "llama")), tmp_path)
    model = load_model(source, processing, "cpu", torch.bfloat16, check=False)
    tokens = probe_tokens(model._bridge, 0)
    before = {name: value.data_ptr() for name, value in model._bridge.named_parameters()}
    logits, _, _ = model.all_activations(tokens)
    with model.weights.in_float32():
        assert {value.dtype for value in model._bridge.parameters()} == {torch.float32}
        exact, _, _ = model.all_activations(tokens)
    assert 1e-4 < float((logits - exact).norm() / exact.norm()) < 0.1
    assert {name: value.data_ptr() for name, value in model._bridge.named_parameters()} == before
    assert torch.equal(model.all_activations(tokens)[0], logits)


def test_a_plain_attribute_is_a_weight_too() -> None:
    module = torch.nn.Linear(2, 2, dtype=torch.float16)
    vars(module)["folded"] = torch.ones(2, dtype=torch.float16)
    with float32_weights(module):
        assert vars(module)["folded"].dtype == torch.float32
    assert vars(module)["folded"].dtype == torch.float16


@pytest.mark.parametrize("processing", ["raw", "processed"])
def test_a_fault_below_the_rounding_of_bfloat16_is_found(processing: Processing, tmp_path: Path) -> None:
    """Nemotron's heads lose 7% by rounding, and move by 18% without the scale of their scores."""
    source = find_model(str(save_family("nemotron", tmp_path / "nemotron")), tmp_path)
    model = load_model(source, processing, "cpu", torch.bfloat16, check=False)
    places = ModulePlaces.of(model._bridge, model.attention_layers)
    tokens = probe_tokens(model._bridge, 0)
    plain = plain_activations(source, tokens, places, model.device, torch.bfloat16)
    assert of_allowed(compare(model, plain, tokens)) < 0.5
    with planted(model, "a scale dropped"):
        check = compare(model, plain, tokens)
        assert of_allowed(check) > 1.2
        assert check.in_float32 is not None
        assert all(getattr(check, part) < limit for part, limit in check.limits.items())
