"""What feeds and measures a training run, on a stand-in for an accelerator: the same numbers, no two devices mixed.

The training itself is sae_lens's; the stand-in computes no gradients.
"""

from dataclasses import astuple
from pathlib import Path

import numpy as np
import torch

from app.adapters.model_sources import ModelSource
from app.adapters.sae_formats import LocalSae, load_sae
from app.adapters.transformer_lens_model import TransformerLensModel, load_model
from app.attribution.sae import SparseCoder
from app.training.activation_stream import ActivationStream
from app.training.quality import LayerQuality, quality_report
from tests.support.narrow_device import NarrowDevice
from tests.support.training_runs import sequences_of, small_recipe, trained

MPS = torch.device("mps:0")
RECIPE = small_recipe(n_tokens=10 * 128)


def coders(model: TransformerLensModel, folder: Path) -> dict[int, SparseCoder]:
    loaded = [load_sae(LocalSae(folder / f"layer_{n}"), model.record, model.device) for n in RECIPE.layers]
    return {sae.layer: sae.coder for sae in loaded}


def test_batches_are_made_on_the_device(
    source: ModelSource, model: TransformerLensModel, folder: Path
) -> None:
    sequences = sequences_of(RECIPE, model, folder)
    expected = next(ActivationStream(model, sequences, RECIPE))
    with NarrowDevice():
        stream = ActivationStream(load_model(source, "raw", "mps"), sequences, RECIPE)
        found = next(stream)
        assert {batch.device for batch in found.values()} == {MPS}
        on_host = {name: batch.cpu() for name, batch in found.items()}
    torch.testing.assert_close(on_host, expected, rtol=0, atol=1e-6)


def test_quality_is_measured_on_the_device(
    source: ModelSource, model: TransformerLensModel, folder: Path
) -> None:
    trained(RECIPE, model, folder)
    sequences = sequences_of(RECIPE, model, folder)
    expected = quality_report(model, sequences, coders(model, folder), n_loss_sequences=4)
    with NarrowDevice() as device:
        there = load_model(source, "raw", "mps")
        found = quality_report(there, sequences, coders(there, folder), n_loss_sequences=4)
    assert {"aten::addmm", "aten::_softmax"} <= device.met
    for row, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(numbers(row), numbers(other), rtol=1e-5)


def numbers(row: LayerQuality) -> list[float]:
    return [value for value in astuple(row) if value is not None]
