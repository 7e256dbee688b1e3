"""A model that the library computes otherwise than transformers is refused on loading; planted faults are found."""

from pathlib import Path

import pytest
import torch

from app.adapters.language_model import Processing
from app.adapters.model_sources import ModelSource, find_model
from app.adapters.path_trace import probe_tokens
from app.adapters.plain_model import ModulePlaces
from app.adapters.self_check import check_against_plain
from app.adapters.transformer_lens_model import load_model
from app.errors import InvalidModel
from tests.parity.matrix import COMBINATIONS, name_of
from tests.parity.rounding import SOUND, measure_family
from tests.support.model_families import FAMILIES, save_family
from tests.support.planted_faults import PLANTED

PROCESSINGS: tuple[Processing, ...] = ("raw", "processed")
UNROTATED = {"bloom", "gpt2", "opt"}
MORE = ("mixtral", "opt", "qwen3")  # every family is in the sweep below


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


def test_half_precision_is_held_against_its_own_rounding(tmp_path: Path) -> None:
    source = _source("gemma3_text", tmp_path)
    for processing in PROCESSINGS:
        check = load_model(source, processing, "cpu", torch.bfloat16).self_check
        assert check is not None
        assert 1e-2 <= min(check.limits.values()) <= max(check.limits.values()) < 0.1
    check = load_model(source).self_check
    assert check is not None
    assert set(check.limits.values()) == {1e-3}


def test_without_memory_for_float32_a_wider_limit_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(_model: torch.nn.Module) -> None:
        raise torch.OutOfMemoryError

    source = _source("llama", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Module, "float", no_memory)
        check = load_model(source, "raw", "cpu", torch.bfloat16).self_check
    assert check is not None
    assert set(check.limits.values()) == {0.25}


@pytest.mark.parametrize(
    "family",
    ["gemma2", "gemma3_text", "gpt2", "llama", *(pytest.param(f, marks=pytest.mark.slow) for f in MORE)],
)
def test_planted_faults_are_found_and_rounding_is_not(family: str, tmp_path: Path) -> None:
    found = measure_family(family, tmp_path / family)
    assert list(found.off) == [name_of(*each) for each in COMBINATIONS]
    assert set(found.not_there) == {fault for fault in PLANTED if "rotary" in fault and family in UNROTATED}
    for by_fault in found.off.values():
        assert by_fault[SOUND] < 1
        assert {fault: off for fault, off in by_fault.items() if fault != SOUND and off <= 1} == {}


@pytest.mark.sweep
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_no_planted_fault_is_missed_in_any_family(family: str, tmp_path: Path) -> None:
    found = measure_family(family, tmp_path / family)
    assert all(by_fault[SOUND] < 1 for by_fault in found.off.values())
    assert [fault for fault in PLANTED if "MISSED" in found.verdict(fault)] == []


def test_what_is_beyond_rounding_is_refused_in_one_sentence(tmp_path: Path) -> None:
    source = _source("llama", tmp_path)
    model = load_model(source, check=False)
    places = ModulePlaces.of(model._bridge, model.attention_layers)
    tokens = probe_tokens(model._bridge, 0)
    assert check_against_plain(model, source, places, tokens).worst < 1e-5
    PLANTED["a scale dropped"](model)
    with pytest.raises(InvalidModel, match="^TransformerLens does not compute llama as transformers does"):
        check_against_plain(model, source, places, tokens)
