"""Activations that are not finite stop the job: no number is made of them, and none is left out in silence."""

from pathlib import Path

import pytest
import torch

from app.errors import InvalidModel
from app.precompute.loaded_run import LoadedRun
from app.precompute.prepare import prepare
from app.precompute.shard import layer_batches
from tests.support.tiny_jobs import make_tiny


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_b13_values_of_a_head_that_are_not_finite_stop_the_job_with_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    run = LoadedRun(*prepare(make_tiny(tmp_path, "gpt2", "standard").request()))
    model_type = type(run.model())
    whole = model_type.activations

    def damaged(model, *arguments, **options):
        layers = whole(model, *arguments, **options)
        with torch.inference_mode():
            next(iter(layers.values())).z[-1, -1, -1, -1] = value
        return layers

    monkeypatch.setattr(model_type, "activations", damaged)
    place = r"^hook_z of layer \d is not finite on sequences from 3; try --dtype float32$"
    with pytest.raises(InvalidModel, match=place):
        list(layer_batches(run, 3, 6))
