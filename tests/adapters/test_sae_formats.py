"""Folders that must load: their encode equals the library's, and their metadata is read as written."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from app.adapters.sae_formats import LocalSae, load_sae
from app.adapters.sae_sources import CHECKSUM_FILE, WEIGHTS_FILE
from app.attribution.sae_steps import FixedScale, RescaledTopK
from tests.support.saved_saes import (
    D_IN,
    D_SAE,
    HOOK,
    METADATA,
    MODEL,
    K,
    edit_config,
    edit_weights,
    library_acts,
    new_sae,
    random_z,
    randomised,
    sae_lens,
    saved,
    write_legacy,
)

KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("standard", {}),
    ("topk", {"k": K}),
    ("topk", {"k": K, "rescale_acts_by_decoder_norm": True}),
    ("jumprelu", {}),
    ("gated", {}),
)
TRAINING: tuple[tuple[type, type, dict[str, Any]], ...] = (
    (sae_lens.StandardTrainingSAE, sae_lens.StandardTrainingSAEConfig, {}),
    (sae_lens.TopKTrainingSAE, sae_lens.TopKTrainingSAEConfig, {"k": K}),
    (sae_lens.JumpReLUTrainingSAE, sae_lens.JumpReLUTrainingSAEConfig, {}),
    (sae_lens.GatedTrainingSAE, sae_lens.GatedTrainingSAEConfig, {}),
)
INFERENCE_ONLY: tuple[tuple[type, type, dict[str, Any]], ...] = (
    (sae_lens.BatchTopKTrainingSAE, sae_lens.BatchTopKTrainingSAEConfig, {"k": K}),
    (
        sae_lens.MatryoshkaBatchTopKTrainingSAE,
        sae_lens.MatryoshkaBatchTopKTrainingSAEConfig,
        {"k": K, "matryoshka_widths": [8, D_SAE]},
    ),
)


def assert_encodes_like_the_library(folder: Path) -> None:
    z = random_z()
    coder = load_sae(LocalSae(folder), MODEL).coder
    encoded = coder.encode(z)
    expected = library_acts(folder, z)
    assert expected.any()
    assert_close(encoded.feature_acts, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(encoded.feature_acts > 0, expected > 0)


@pytest.mark.parametrize("norm", ["none", "layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize("apply_b_dec", [True, False])
@pytest.mark.parametrize(("architecture", "options"), KINDS)
def test_saved_saes_encode_like_the_library(
    tmp_path: Path, architecture: str, options: dict[str, Any], apply_b_dec: bool, norm: str
) -> None:
    more = {**options, "apply_b_dec_to_input": apply_b_dec, "normalize_activations": norm}
    assert_encodes_like_the_library(saved(tmp_path, architecture, **more))


def training_sae(sae_class: type, config_class: type, options: dict[str, Any]) -> Any:
    metadata = sae_lens.saes.sae.SAEMetadata(**METADATA)
    return randomised(sae_class(config_class(d_in=D_IN, d_sae=D_SAE, metadata=metadata, **options)))


@pytest.mark.parametrize("save", ["save_model", "save_inference_model"])
@pytest.mark.parametrize(("sae_class", "config_class", "options"), TRAINING)
def test_training_saes_load_from_both_ways_of_saving(
    tmp_path: Path, sae_class: type, config_class: type, options: dict[str, Any], save: str
) -> None:
    getattr(training_sae(sae_class, config_class, options), save)(tmp_path)
    assert_encodes_like_the_library(tmp_path)


@pytest.mark.parametrize(("sae_class", "config_class", "options"), INFERENCE_ONLY)
def test_b14_batch_topk_arrives_as_jumprelu(
    tmp_path: Path, sae_class: type, config_class: type, options: dict[str, Any]
) -> None:
    sae = training_sae(sae_class, config_class, options)
    sae.topk_threshold = torch.tensor(0.8, dtype=torch.float64)
    sae.save_inference_model(tmp_path)
    assert load_sae(LocalSae(tmp_path), MODEL).architecture == "jumprelu"
    assert_encodes_like_the_library(tmp_path)


LEGACY: dict[str, Any] = {"d_in": D_IN, "d_sae": D_SAE, "dtype": "float32", "model_name": "gpt2-small"}


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("standard", {"hook_point": HOOK, "hook_point_head_index": None, "activation_fn_str": "relu"}),
        ("standard", {"hook_name": HOOK, "activation_fn": "relu", "normalize_activations": False}),
        ("standard", {"hook_name": HOOK, "apply_b_dec_to_input": False, "normalize_activations": None}),
        ("standard", {"hook_name": HOOK, "normalize_activations": "layer_norm", "prepend_bos": True}),
        ("topk", {"hook_name": HOOK, "activation_fn": "topk", "activation_fn_kwargs": {"k": K}}),
        ("topk", {"hook_name": HOOK, "architecture": "topk", "k": K, "sae_lens_version": "5.2.0"}),
        ("jumprelu", {"hook_name": HOOK, "architecture": "jumprelu"}),
        ("gated", {"hook_name": HOOK, "architecture": "gated", "finetuning_scaling_factor": False}),
    ],
)
def test_configs_from_before_6_0(tmp_path: Path, architecture: str, config: dict[str, Any]) -> None:
    folder = write_legacy(tmp_path, {**LEGACY, "context_size": 64, **config}, architecture)
    loaded = load_sae(LocalSae(folder), MODEL)
    assert (loaded.hook_name, loaded.layer, loaded.training_context_size) == (HOOK, 2, 64)
    assert loaded.architecture == architecture
    assert_encodes_like_the_library(folder)


def test_b19_a_config_that_does_not_say_how_z_is_reshaped_is_read_all_the_same(tmp_path: Path) -> None:
    whole = load_sae(LocalSae(saved(tmp_path / "whole")), MODEL)
    folder = saved(tmp_path / "bare")
    edit_config(folder, lambda config: config.pop("reshape_activations"))
    bare = load_sae(LocalSae(folder), MODEL)
    assert torch.equal(
        bare.coder.encode(random_z()).feature_acts, whole.coder.encode(random_z()).feature_acts
    )


def test_the_hook_is_read_where_the_library_drops_it(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    edit_config(folder, lambda config: config["metadata"].pop("sae_lens_version"))
    assert sae_lens.SAE.load_from_disk(folder).cfg.metadata.hook_name is None
    assert load_sae(LocalSae(folder), MODEL).hook_name == HOOK


def test_a_scaling_factor_of_one_does_nothing(tmp_path: Path) -> None:
    folder = write_legacy(tmp_path, {**LEGACY, "hook_name": HOOK})
    edit_weights(folder, lambda weights: weights.update(scaling_factor=torch.ones(D_SAE)))
    assert_encodes_like_the_library(folder)


def test_a_log_threshold_is_read_as_a_threshold(tmp_path: Path) -> None:
    folder = saved(tmp_path, "jumprelu")
    before = load_sae(LocalSae(folder), MODEL).coder.encode(random_z()).feature_acts
    edit_weights(folder, lambda weights: weights.update(log_threshold=weights.pop("threshold").log()))
    assert_close(load_sae(LocalSae(folder), MODEL).coder.encode(random_z()).feature_acts, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_converted(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = saved(tmp_path)
    edit_weights(folder, lambda weights: weights.update({k: v.to(dtype) for k, v in weights.items()}))
    edit_config(folder, lambda config: config.update(dtype=str(dtype).removeprefix("torch.")))
    coder = load_sae(LocalSae(folder), MODEL).coder
    assert coder.w_enc.dtype == torch.float32
    assert_close(coder.w_enc, new_sae().W_enc.detach().to(dtype).to(torch.float32), rtol=0, atol=0)
    assert_encodes_like_the_library(folder)


@pytest.mark.parametrize(("architecture", "options"), KINDS)
def test_b17_a_fixed_input_factor_does_what_the_library_folds_into_the_weights(
    tmp_path: Path, architecture: str, options: dict[str, Any]
) -> None:
    more = {**options, "normalize_activations": "expected_average_only_in"}
    folder = saved(tmp_path, architecture, **more)
    library = new_sae(architecture, **more)
    library.fold_activation_norm_scaling_factor(2.5)
    coder = load_sae(LocalSae(folder, normalize_factor=2.5), MODEL).coder
    assert coder.input_norm == FixedScale(2.5)
    z = random_z()
    encoded = coder.encode(z)
    assert_close(encoded.feature_acts, library.encode(z).detach(), rtol=1e-5, atol=1e-5)
    assert_close(coder.decode(encoded.feature_acts, encoded), library(z).detach(), rtol=1e-5, atol=1e-5)
    assert isinstance(coder.activation, RescaledTopK) == ("rescale_acts_by_decoder_norm" in options)


def test_metadata_is_read(tmp_path: Path) -> None:
    known = {"head_atlas_processing": "raw", "head_atlas_l0": 31.5, "n_heads": 3, "d_head": 4}
    folder = saved(tmp_path / "my sae", metadata={**known, "neuronpedia_id": "gpt2-small/2-mine"})
    loaded = load_sae(LocalSae(folder), MODEL)
    assert (loaded.name, loaded.layer, loaded.architecture) == ("my sae", 2, "standard")
    assert (loaded.processing, loaded.published_l0) == ("raw", 31.5)
    assert (loaded.neuronpedia_id, loaded.training_context_size) == ("gpt2-small/2-mine", 128)
    assert loaded.normalize_activations == "none"


def test_what_is_not_known_is_none(tmp_path: Path) -> None:
    folder = write_legacy(tmp_path, {"d_in": D_IN, "d_sae": D_SAE, "hook_name": HOOK})
    loaded = load_sae(LocalSae(folder), MODEL)
    assert loaded.processing is None
    assert (loaded.published_l0, loaded.neuronpedia_id, loaded.training_context_size) == (None, None, None)


def test_the_weights_are_frozen_and_our_own(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    first, second = (load_sae(LocalSae(folder), MODEL).coder for _ in range(2))
    assert not any(t.requires_grad for t in (first.w_enc, first.w_dec, first.b_enc, first.b_dec))
    first.w_enc.zero_()
    assert second.w_enc.any()
    assert load_sae(LocalSae(folder), MODEL).coder.w_enc.any()


def test_b02_one_flipped_bit_is_another_checksum(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    path = folder / WEIGHTS_FILE
    content = bytearray(path.read_bytes())
    before = load_sae(LocalSae(folder), MODEL).checksum
    assert before == hashlib.sha256(content).hexdigest()
    content[-1] ^= 1
    path.write_bytes(content)
    assert load_sae(LocalSae(folder), MODEL).checksum != before


@pytest.mark.parametrize("line", ["{sum}  sae_weights.safetensors", "{sum} *./sae_weights.safetensors\n\n"])
def test_a_recorded_checksum_that_agrees_is_accepted(tmp_path: Path, line: str) -> None:
    folder = saved(tmp_path)
    checksum = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    (folder / CHECKSUM_FILE).write_text(f"{'0' * 64}  cfg.json\n" + line.format(sum=checksum))
    assert load_sae(LocalSae(folder), MODEL).checksum == checksum


def test_loading_warns_of_nothing_that_is_handled(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    edit_config(
        folder, lambda config: config["metadata"].update(model_from_pretrained_kwargs={"fold_ln": False})
    )
    assert load_sae(LocalSae(folder), MODEL).layer == 2
    assert json.loads((folder / "cfg.json").read_text())["metadata"]["model_from_pretrained_kwargs"]
