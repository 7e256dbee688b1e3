"""Training and its measures where there is nothing to count, or nothing that says whether files are whole."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.statistics.moments import CoMoments
from app.training import quality, train
from app.training.activation_stream import ActivationStream


def test_a_layer_without_held_out_tokens_has_no_quality() -> None:
    sae: Any = SimpleNamespace(d_in=4, d_sae=6)
    sums = quality._Sums.empty(sae)
    with pytest.raises(ValueError, match="no held-out tokens to measure layer 3 on"):
        quality._row(3, sums, None)
    sums.moments = CoMoments.of(np.ones((5, 4)))  # tokens were read, and none of them was predicted
    with pytest.raises(ValueError, match="no held-out tokens to measure layer 3 on"):
        quality._row(3, sums, None)


def test_of_complete_checkpoints_the_newest_counts_also_without_a_manifest(tmp_path: Path) -> None:
    recipe: Any = SimpleNamespace(layers=(0, 1))
    for position, layers in (("20", (0, 1)), ("100", (0, 1)), ("300", (0,))):
        for layer in layers:
            (tmp_path / position / str(layer)).mkdir(parents=True)
        (tmp_path / position / train._POSITION_FILE).touch()
    (tmp_path / "400" / "0").mkdir(parents=True)
    (tmp_path / "400" / "1").mkdir()
    assert train._newest_checkpoint(tmp_path, recipe) == tmp_path / "100"
    assert train._newest_checkpoint(tmp_path / "none", recipe) is None


def test_a_stream_is_read_once_from_where_it_stands() -> None:
    nothing: Any = None
    stream = ActivationStream(nothing, nothing, nothing)
    assert iter(stream) is stream
    assert stream.position == 0
