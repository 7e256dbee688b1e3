"""Configurations that checkpoints of a family may have: their numbers are the plain model's, or they are refused."""

import re
from pathlib import Path

import pytest
import torch

from app.adapters.language_model import Processing
from tests.parity.matrix import LIMITS
from tests.parity.measure import measure
from tests.support.model_families import save_family
from tests.support.odd_configurations import ODD

OTHER_MODEL = "TransformerLens does not compute .* as transformers does"
NOT_LOADED = "could not be loaded"
REFUSED: dict[str, dict[Processing, str]] = {
    "new Falcon": {"raw": OTHER_MODEL, "processed": OTHER_MODEL},
    "norm of the embedding added to the stream": {"processed": OTHER_MODEL},
    "norm after each part": {"raw": "TransformerLens cannot run", "processed": "TransformerLens cannot run"},
    "embedding of another width": {"processed": OTHER_MODEL},
    "all heads with their own keys": {"raw": NOT_LOADED, "processed": NOT_LOADED},
    "untied, scores not scaled": {"raw": OTHER_MODEL, "processed": OTHER_MODEL},
    "half of the dimensions rotated, norms of queries and keys": {"raw": NOT_LOADED, "processed": NOT_LOADED},
    "window of another length": {"processed": OTHER_MODEL},
}
WITHHELD = {
    "norm of the embedding added to the stream": {"logits"},
    "embedding of another width": {"logits"},
    "values wider than keys": {"copying"},
}
SAMPLE = ("Falcon with ALiBi", "new Falcon", "rotary: yarn", "window on the later layers")


@pytest.mark.parametrize("processing", ["raw", "processed"])
@pytest.mark.parametrize(
    "odd", [each if each in SAMPLE else pytest.param(each, marks=pytest.mark.sweep) for each in ODD]
)
def test_an_odd_configuration_gives_the_plain_models_numbers_or_is_refused(
    odd: str, processing: Processing, tmp_path: Path
) -> None:
    family, arguments = ODD[odd]
    found = measure(save_family(family, tmp_path / family, **arguments), processing, torch.float32)
    if (reason := REFUSED.get(odd, {}).get(processing)) is not None:
        assert found.refused is not None
        assert re.search(reason, found.refused)
        assert "\n" not in found.refused
        return
    assert found.refused is None
    assert set(found.withheld) == WITHHELD.get(odd, set())
    assert {kind: value for kind, value in found.off.items() if not value <= LIMITS[torch.float32]} == {}
