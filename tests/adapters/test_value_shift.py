"""What weight processing takes from z, read from the weights, against z of both processings."""

from pathlib import Path

import pytest
import torch

from app.adapters.language_model import Processing
from app.adapters.model_sources import find_model
from app.adapters.transformer_lens_model import TransformerLensModel, load_model
from tests.support.model_families import save_family

TOKENS = torch.randint(5, 300, (2, 20), generator=torch.Generator().manual_seed(3))


def _load(folder: Path, processing: Processing) -> TransformerLensModel:
    return load_model(find_model(str(folder), folder), processing, check=False)


@pytest.mark.parametrize("family", ["gpt2", "bloom", "qwen2", "llama"])
def test_the_shift_is_the_difference_between_both_processings(family: str, tmp_path: Path) -> None:
    """Separate and fused projections, grouped-query values with a bias, and a family without any bias."""
    folder = save_family(family, tmp_path / family)
    raw, processed = _load(folder, "raw"), _load(folder, "processed")
    layers = raw.attention_layers
    before, after = raw.hook_z(TOKENS, layers), processed.hook_z(TOKENS, layers)
    for layer in layers:
        shift = raw.weights.value_shift(layer)
        assert shift is not None
        torch.testing.assert_close(
            before[layer] - after[layer], shift.expand_as(before[layer]), atol=5e-5, rtol=0
        )
        moves = family != "llama"
        assert raw.processing_moves_z(layer) == moves
        assert bool(shift.any()) == moves
        assert processed.processing_moves_z(layer) is False  # nothing is left to fold


def test_nothing_is_said_where_heads_read_the_stream_itself(tmp_path: Path) -> None:
    model = _load(save_family("olmo2", tmp_path / "olmo2"), "raw")
    assert model.weights.value_shift(0) is None
    assert model.processing_moves_z(0)
