"""The matrix's families against plain transformers: all of them in `make parity`, some in every test."""

from pathlib import Path

import pytest
import torch

from app.adapters.language_model import Processing
from tests.parity.matrix import LIMITS, limit_of, make_row
from tests.parity.measure import measure
from tests.parity.pages import measure_pages
from tests.parity.table import BUILT, UNBUILT, committed, unbuilt
from tests.support.model_families import FAMILIES, save_family

SAMPLE = ("bloom", "deepseek_v3", "falcon", "gemma2", "gpt_neo", "granite")
WHOLE = ("gemma3_text", "gpt2", "gpt_oss", "llama", "modernbert-decoder", "olmo2", "qwen3_next")


def test_no_family_is_absent_from_the_page() -> None:
    assert [cells[0] for cells in committed(BUILT)] == [f"`{family}`" for family in sorted(FAMILIES)]
    assert committed(UNBUILT) == unbuilt()
    assert all(all(cells[:-1]) for cells in committed(BUILT))


@pytest.mark.parametrize("processing", ["raw", "processed"])
@pytest.mark.parametrize("family", SAMPLE)
def test_numbers_are_those_of_the_plain_model(family: str, processing: Processing, tmp_path: Path) -> None:
    found = measure(save_family(family, tmp_path / family), processing, torch.float32)
    assert found.refused is None
    assert {kind: value for kind, value in found.off.items() if not value <= LIMITS[torch.float32]} == {}


@pytest.mark.parametrize("processing", ["raw", "processed"])
def test_pages_say_what_the_plain_model_does(processing: Processing, tmp_path: Path) -> None:
    folder = save_family("gpt2", tmp_path / "gpt2")
    found = measure_pages(folder, tmp_path, processing, torch.float32, folds=processing == "processed")
    assert not isinstance(found, str)
    assert {kind: value for kind, value in found.items() if not value <= limit_of(kind, torch.float32)} == {}


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(each, marks=pytest.mark.slow if each in WHOLE else pytest.mark.sweep)
        for each in sorted(FAMILIES)
    ],
)
def test_a_row_is_as_the_page_has_it(family: str) -> None:
    row = make_row(family)
    assert row.wrong == []
    assert row.cells in committed(BUILT)
