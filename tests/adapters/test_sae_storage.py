"""Weights in 8 bits: how far they are from what was stored, and files that do not hold what their config says."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch.testing import assert_close

from app.adapters.sae_config import STORAGE_KEY
from app.adapters.sae_conversion import convert_sae
from app.adapters.sae_formats import LocalSae, load_sae
from app.adapters.sae_sources import WEIGHTS_FILE, file_checksum
from app.adapters.sae_storage import dequantise, quantise
from app.errors import InvalidSae
from tests.support.saved_saes import D_IN, D_SAE, MODEL, edit_config, edit_weights, random_z, saved

Weights = dict[str, torch.Tensor]
MATRICES = arrays.arrays(
    "float32",
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@given(MATRICES)
def test_no_number_is_off_by_more_than_half_its_rows_scale(matrix: object) -> None:
    rows = torch.as_tensor(matrix)
    stored, scale = quantise(rows)
    again = dequantise(stored, scale)
    assert again.isfinite().all()
    error = (again.double() - rows.double()).abs()
    assert (error <= scale.double()[:, None] * 0.50002).all()
    not_tiny = rows.abs().amax(1) > 1e-35
    assert_close(scale[not_tiny], (rows.abs().amax(1) / 127)[not_tiny])


@given(MATRICES)
def test_what_was_stored_once_is_stored_the_same_again(matrix: object) -> None:
    stored, scale = quantise(torch.as_tensor(matrix))
    again, _ = quantise(dequantise(stored, scale))
    assert torch.equal(again, stored)


def test_rows_of_zeros_and_rows_too_small_for_a_scale_are_zeros() -> None:
    rows = torch.tensor([[0.0, -0.0], [1e-45, -1e-40], [3.0, -1.5]])
    stored, scale = quantise(rows)
    assert stored.tolist() == [[0, 0], [0, 0], [127, -64]]
    assert scale.tolist() == [1, 1, pytest.approx(3 / 127)]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_have_no_form(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        quantise(torch.tensor([[1.0, bad]]))


def in_8_bits(folder: Path) -> Path:
    target = folder / "int8"
    convert_sae(saved(folder / "float", "topk", k=5, rescale_acts_by_decoder_norm=True), target, "int8")
    return target


def test_it_encodes_nearly_as_before_and_its_checksum_is_the_files(tmp_path: Path) -> None:
    stored = load_sae(LocalSae(in_8_bits(tmp_path)), MODEL)
    before = load_sae(LocalSae(tmp_path / "float"), MODEL)
    assert stored.checksum == file_checksum(tmp_path / "int8" / WEIGHTS_FILE) != before.checksum
    assert stored.coder.w_dec.dtype == stored.coder.w_enc.dtype == torch.float32
    for name, dimension in (("w_enc", 0), ("w_dec", 1)):
        exact, rounded = getattr(before.coder, name), getattr(stored.coder, name)
        bound = exact.abs().amax(dimension, keepdim=True) / 254
        assert ((exact - rounded).abs() <= bound * 1.001).all()
        assert not torch.equal(exact, rounded)
    assert torch.equal(stored.coder.b_enc, before.coder.b_enc)
    z = random_z()
    acts, expected = (each.coder.encode(z).feature_acts for each in (stored, before))
    assert_close(acts.sum(), expected.sum(), rtol=0.01, atol=0)


def edited(change: Callable[[Weights], object]) -> Callable[[Path], object]:
    return lambda folder: edit_weights(folder, change)


def storage(value: object) -> Callable[[Path], object]:
    return lambda folder: edit_config(folder, lambda cfg: cfg["metadata"].update({STORAGE_KEY: value}))


def scale_of(value: float) -> Callable[[Path], object]:
    return edited(lambda w: w["W_dec_scale"].view(-1)[-1:].fill_(value))


BAD: tuple[tuple[str, Callable[[Path], object], str], ...] = (
    ("a config silent on it", storage(None), "W_dec holds 8-bit numbers, which its config does not promise"),
    ("an unknown storage", storage("int4"), "head_atlas_storage 'int4' is not supported, only 'int8_rows'"),
    ("a storage that is no text", storage(8), "head_atlas_storage 8 is not supported"),
    ("no scale", edited(lambda w: w.pop("W_enc_scale")), "there is no W_enc_scale"),
    ("a short scale", edited(lambda w: w.update(W_enc_scale=w["W_enc_scale"][1:])), f"shape ({D_SAE - 1},)"),
    ("a scale a column", edited(lambda w: w.update(W_dec_scale=torch.ones(D_IN))), f"shape ({D_IN},)"),
    ("whole scales", edited(lambda w: w.update(W_dec_scale=torch.ones(D_SAE).char())), "W_dec_scale holds"),
    ("a scale of zero", scale_of(0.0), "W_dec_scale holds numbers that are not positive and finite"),
    ("a negative scale", scale_of(-1.0), "not positive and finite"),
    ("a scale that is not a number", scale_of(float("nan")), "not positive and finite"),
    ("an infinite scale", scale_of(float("inf")), "not positive and finite"),
    ("a scale too large", scale_of(3e38), "W_dec holds NaN or infinite numbers"),
    ("floats", edited(lambda w: w.update(W_dec=w["W_dec"].float())), "and tensor W_dec holds torch.float32"),
    ("a bias in 8 bits", edited(lambda w: w.update(b_enc=w["b_enc"].char())), "b_enc holds 8-bit numbers"),
    ("no decoder", edited(lambda w: [w.pop("W_dec"), w.pop("W_dec_scale")]), "lack W_dec"),
    ("a scale alone", edited(lambda w: w.pop("W_dec")), "lack W_dec,"),
    ("one dimension", edited(lambda w: w.update(W_dec=w["W_dec"].flatten())), "W_dec_scale has shape"),
    ("transposed", edited(lambda w: w.update(W_enc=w["W_enc"].T)), "W_enc_scale has shape"),
)


@pytest.mark.parametrize(("damage", "named"), [pytest.param(d, n, id=name) for name, d, n in BAD])
def test_a_file_that_does_not_hold_what_its_config_says_is_refused(
    tmp_path: Path, damage: Callable[[Path], object], named: str
) -> None:
    folder = in_8_bits(tmp_path)
    load_sae(LocalSae(folder), MODEL)
    damage(folder)
    with pytest.raises(InvalidSae) as caught:
        load_sae(LocalSae(folder), MODEL)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
