"""The self-check on the embedded model: 30 layers of rounding are taken, and faults that are planted are not."""

import pytest
import torch

from app.adapters.language_model import Processing
from app.adapters.model_sources import EMBEDDED, find_model
from app.adapters.path_trace import probe_tokens
from app.adapters.plain_model import ModulePlaces, plain_activations
from app.adapters.self_check import SelfCheck, compare
from app.adapters.transformer_lens_model import load_model
from app.settings import Settings
from tests.parity.rounding import of_allowed
from tests.support.planted_faults import PLANTED, planted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processing", "dtype"),
    [
        pytest.param("processed", torch.float32, id="processed, float32"),
        pytest.param("processed", torch.bfloat16, id="processed, bfloat16"),
        pytest.param("raw", torch.bfloat16, id="raw, bfloat16", marks=pytest.mark.sweep),
    ],
)
def test_smollm2_passes_and_each_planted_fault_is_found(processing: Processing, dtype: torch.dtype) -> None:
    source = find_model(EMBEDDED, Settings().cache_dir)
    model = load_model(source, processing, "cpu", dtype)
    check = model.self_check
    assert isinstance(check, SelfCheck)
    assert of_allowed(check) < 0.7
    assert (check.in_float32 is not None) == (dtype == torch.bfloat16)
    tokens = probe_tokens(model._bridge, model.record.bos_token_id)
    places = ModulePlaces.of(model._bridge, model.attention_layers)
    plain = plain_activations(source, tokens, places, model.device, dtype)
    for fault in PLANTED:
        with planted(model, fault):
            assert of_allowed(compare(model, plain, tokens)) > 10, fault
    assert of_allowed(compare(model, plain, tokens)) == pytest.approx(of_allowed(check), rel=0.1)
