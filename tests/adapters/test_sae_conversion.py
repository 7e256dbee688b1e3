"""A folder in 8 bits and back: sae_lens reads the floats, and both encode the same."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

import app.cli
from app.adapters.sae_config import STORAGE_KEY
from app.adapters.sae_conversion import WeightForm, convert_sae
from app.adapters.sae_formats import LocalSae, load_sae
from app.adapters.sae_sources import CONFIG_FILE, WEIGHTS_FILE
from app.errors import InvalidSae
from tests.support.saved_saes import (
    HOOK,
    MODEL,
    K,
    edit_config,
    edit_weights,
    library_acts,
    random_z,
    sae_lens,
    saved,
    write_legacy,
)

KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("standard", {}),
    ("topk", {"k": K}),
    ("topk", {"k": K, "rescale_acts_by_decoder_norm": True}),
    ("jumprelu", {"normalize_activations": "layer_norm"}),
    ("gated", {"apply_b_dec_to_input": False}),
)


@pytest.mark.parametrize(("architecture", "options"), KINDS)
def test_sae_lens_reads_the_floats_and_encodes_as_the_8_bits_do(
    tmp_path: Path, architecture: str, options: dict[str, Any]
) -> None:
    convert_sae(saved(tmp_path / "first", architecture, **options), tmp_path / "int8", "int8")
    convert_sae(tmp_path / "int8", tmp_path / "floats", "float32")
    stored, floats = (load_sae(LocalSae(tmp_path / name), MODEL) for name in ("int8", "floats"))
    z = random_z()
    expected = library_acts(tmp_path / "floats", z)
    assert expected.any()
    acts = stored.coder.encode(z).feature_acts
    assert_close(acts, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(acts > 0, expected > 0)
    assert torch.equal(stored.coder.w_enc, floats.coder.w_enc)
    assert torch.equal(stored.coder.w_dec, floats.coder.w_dec)


def test_sae_lens_refuses_the_8_bits_instead_of_reading_them_wrong(tmp_path: Path) -> None:
    convert_sae(saved(tmp_path / "first"), tmp_path / "int8", "int8")
    with pytest.raises(RuntimeError, match="W_enc_scale"):
        sae_lens.SAE.load_from_disk(tmp_path / "int8")


def test_8_bits_take_a_quarter_and_are_the_same_after_a_round(tmp_path: Path) -> None:
    first = saved(tmp_path / "first")
    convert_sae(first, tmp_path / "int8", "int8")
    convert_sae(tmp_path / "int8", tmp_path / "floats", "float32")
    convert_sae(tmp_path / "floats", tmp_path / "again", "int8")
    kinds = {name: tensor.dtype for name, tensor in load_file(tmp_path / "int8" / WEIGHTS_FILE).items()}
    assert {name for name, dtype in kinds.items() if dtype == torch.int8} == {"W_enc", "W_dec"}
    one, other = (load_file(tmp_path / name / WEIGHTS_FILE) for name in ("int8", "again"))
    assert torch.equal(one["W_enc"], other["W_enc"])
    assert torch.equal(one["W_dec"], other["W_dec"])
    config = {
        name: json.loads((tmp_path / name / CONFIG_FILE).read_text()) for name in ("first", "int8", "floats")
    }
    assert config["int8"]["metadata"].pop(STORAGE_KEY) == "int8_rows"
    assert config["first"] == config["int8"] == config["floats"]


@pytest.mark.parametrize(("form", "dtype"), [("float16", torch.float16), ("float32", torch.float32)])
def test_floats_are_of_the_width_that_was_asked_for(
    tmp_path: Path, form: WeightForm, dtype: torch.dtype
) -> None:
    convert_sae(saved(tmp_path / "first"), tmp_path / "out", form)
    assert {tensor.dtype for tensor in load_file(tmp_path / "out" / WEIGHTS_FILE).values()} == {dtype}


def test_a_config_without_metadata_says_it_at_the_top(tmp_path: Path) -> None:
    former = {"d_in": 12, "d_sae": 24, "hook_name": HOOK, "hook_head_index": None, "dtype": "float32"}
    convert_sae(write_legacy(tmp_path / "first", former), tmp_path / "int8", "int8")
    assert json.loads((tmp_path / "int8" / CONFIG_FILE).read_text())[STORAGE_KEY] == "int8_rows"
    load_sae(LocalSae(tmp_path / "int8"), MODEL)
    convert_sae(tmp_path / "int8", tmp_path / "floats", "float32")
    assert json.loads((tmp_path / "floats" / CONFIG_FILE).read_text()) == former


def test_nothing_is_written_over_or_left_half(tmp_path: Path) -> None:
    folder = saved(tmp_path / "sae")
    with pytest.raises(InvalidSae, match="sae exists already"):
        convert_sae(folder, folder, "int8")
    edit_config(folder, lambda cfg: cfg.update(d_sae=25))
    with pytest.raises(InvalidSae, match="its config promises"):
        convert_sae(folder, tmp_path / "out", "int8")
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSae, match="cannot be written"):
        convert_sae(saved(tmp_path / "other"), tmp_path / "file" / "out", "int8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other", "sae"]


def test_numbers_too_large_for_16_bits_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "sae")
    edit_weights(folder, lambda weights: weights["b_enc"].fill_(1e6))
    with pytest.raises(InvalidSae, match=r"SAE sae are too large for torch\.float16"):
        convert_sae(folder, tmp_path / "out", "float16")


def test_the_command_writes_floats_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    convert_sae(saved(tmp_path / "first"), tmp_path / "int8", "int8")
    out = tmp_path / "floats"
    monkeypatch.setattr(sys, "argv", ["head-atlas", "convert-sae", str(tmp_path / "int8"), "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        app.cli.main()
    assert not ended.value.code
    assert capsys.readouterr().out == f"wrote {out} (float32)\n"
    sae_lens.SAE.load_from_disk(out)
    with pytest.raises(SystemExit) as ended:
        app.cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {out} exists already; name a new folder\n"
