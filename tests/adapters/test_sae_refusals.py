"""SAEs that must be refused: one sentence that names what is wrong, whatever the library would have done."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from app.adapters.sae_checks import names_differ
from app.adapters.sae_formats import LocalSae, load_sae
from app.adapters.sae_sources import CHECKSUM_FILE, CONFIG_FILE, WEIGHTS_FILE
from app.domain.records import ModelRecord
from app.errors import InvalidSae
from tests.support.saved_saes import (
    D_IN,
    D_SAE,
    HOOK,
    MODEL,
    edit_config,
    edit_weights,
    library_acts,
    random_z,
    saved,
)

Damage = Callable[[Path], object]


def config(**changes: Any) -> Damage:
    return lambda folder: edit_config(folder, lambda cfg: cfg.update(changes))


def metadata(**changes: Any) -> Damage:
    return lambda folder: edit_config(folder, lambda cfg: cfg["metadata"].update(changes))


def without(*keys: str) -> Damage:
    return lambda folder: edit_config(folder, lambda cfg: [cfg.pop(key) for key in keys])


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Damage:
    return lambda folder: edit_weights(folder, change)


def text(name: str, content: str | bytes) -> Damage:
    raw = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(raw)


def as_architecture(architecture: str, **changes: Any) -> Damage:
    """The same config under another architecture's name, without the tensors it would need."""
    return config(architecture=architecture, **changes)


def spoil(name: str, value: float) -> Damage:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name].view(-1)[-1] = value

    return weights(change)


def truncate(folder: Path) -> None:
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-40])


def folder_instead_of_weights(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    (folder / WEIGHTS_FILE).mkdir()


BAD: tuple[tuple[str, Damage, str], ...] = (
    ("residual stream", metadata(hook_name="blocks.2.hook_resid_pre"), "hook_resid_pre"),
    ("mlp", metadata(hook_name="blocks.2.hook_mlp_out"), "hook_mlp_out"),
    ("after W_O", metadata(hook_name="blocks.2.hook_attn_out"), "after W_O"),
    ("queries", metadata(hook_name="blocks.2.attn.hook_q"), "hook_q"),
    ("values", metadata(hook_name="blocks.2.attn.hook_v"), "hook_v"),
    ("an id for a hook name", metadata(hook_name="blocks.2.hook_z"), "blocks.2.hook_z"),
    ("a Hugging Face hook name", metadata(hook_name="transformer.h.2.attn"), "transformer.h.2.attn"),
    ("hook name with a newline", metadata(hook_name=f"{HOOK}\nx"), HOOK),
    ("layer with a leading zero", metadata(hook_name="blocks.02.attn.hook_z"), "blocks.02"),
    ("layer in other digits", metadata(hook_name="blocks.٢.attn.hook_z"), "٢"),
    ("layer out of range", metadata(hook_name="blocks.4.attn.hook_z"), "layers 0 to 3"),
    ("no hook name", metadata(hook_name=None), "hook_name"),
    ("hook name not text", metadata(hook_name=7), "hook_name is 7"),
    ("two hook names", config(hook_name="blocks.1.attn.hook_z"), "blocks.1.attn.hook_z"),
    ("one head", metadata(hook_head_index=1), "only head 1"),
    ("head index not a number", metadata(hook_head_index="1"), "hook_head_index is '1'"),
    ("other head count", metadata(n_heads=4, d_head=3), "4 heads of 3"),
    ("other head size", metadata(d_head=6), "? heads of 6"),
    ("other family", metadata(model_name="EleutherAI/pythia-70m-deduped"), "pythia-70m-deduped"),
    ("other generation", metadata(model_name="gpt2-medium"), "gpt2-medium"),
    ("metadata not an object", config(metadata=[1]), "metadata"),
    ("unknown architecture", as_architecture("superrelu"), "'superrelu'"),
    ("abstopk", as_architecture("abstopk"), "'abstopk'"),
    ("transcoder", as_architecture("transcoder"), "'transcoder'"),
    ("temporal", as_architecture("temporal"), "'temporal'"),
    ("matching pursuit", as_architecture("matching_pursuit"), "'matching_pursuit'"),
    ("batchtopk checkpoint", as_architecture("batchtopk", k=3), "save_inference_model"),
    ("matryoshka checkpoint", as_architecture("matryoshka_batchtopk", k=3), "save_inference_model"),
    ("no architecture", without("architecture"), "architecture"),
    ("topk without k", as_architecture("topk"), "k"),
    ("topk with a fractional k", as_architecture("topk", k=2.5), "2.5"),
    ("topk with k of zero", as_architecture("topk", k=0), "k, not 0"),
    ("topk with k above d_sae", as_architecture("topk", k=D_SAE + 1), f"k is {D_SAE + 1}"),
    ("jumprelu without threshold", as_architecture("jumprelu"), "threshold"),
    ("gated without gate", as_architecture("gated"), "b_gate, b_mag, r_mag"),
    ("other activation function", config(activation_fn="tanh-relu"), "tanh-relu"),
    ("topk function on standard", config(activation_fn_str="topk"), "topk"),
    ("whitening", config(normalize_activations="covariance_whitening"), "covariance_whitening"),
    ("missing factor", config(normalize_activations="expected_average_only_in"), "normalize_factor"),
    ("unknown normalisation", config(normalize_activations="batch_norm"), "batch_norm"),
    ("normalisation not text", config(normalize_activations=3), "normalize_activations 3"),
    ("unknown reshape", config(reshape_activations="hook_q"), "hook_q"),
    ("unknown processing", metadata(head_atlas_processing="folded"), "folded"),
    ("b_dec flag not a flag", config(apply_b_dec_to_input="yes"), "apply_b_dec_to_input"),
    ("d_in not whole", config(d_in=12.0), "d_in is 12.0"),
    ("d_in true", config(d_in=True), "d_in is True"),
    ("no d_sae", without("d_sae"), "d_sae"),
    ("negative d_sae", config(d_sae=-24), "d_sae is -24"),
    ("d_in of another model", config(d_in=16), "d_in is 16"),
    ("d_sae unlike the weights", config(d_sae=D_SAE * 2), "W_enc"),
    ("context size of zero", metadata(context_size=0), "context_size is 0"),
    ("infinite l0", metadata(head_atlas_l0=float("inf")), "head_atlas_l0"),
    ("version not a version", metadata(sae_lens_version="new"), "'new'"),
    ("fine-tuning promised", config(finetuning_scaling_factor=True), "fine-tuning"),
    (
        "fine-tuning done",
        weights(lambda w: w.update(scaling_factor=torch.full((D_SAE,), 2.0))),
        "scaling_factor",
    ),
    (
        "a factor that only broadcasts",
        weights(lambda w: w.update(scaling_factor=torch.ones(1))),
        "scaling_factor has shape (1,)",
    ),
    ("a bias that only broadcasts", weights(lambda w: w.update(b_enc=w["b_enc"][:1])), "b_enc has shape"),
    ("a scalar bias", weights(lambda w: w.update(b_dec=w["b_dec"][0])), "b_dec has shape"),
    ("missing tensor", weights(lambda w: w.pop("b_enc")), "b_enc"),
    ("extra tensor", weights(lambda w: w.update(W_skip=torch.ones(2))), "W_skip"),
    ("transposed encoder", weights(lambda w: w.update(W_enc=w["W_enc"].T)), "W_enc has shape"),
    ("decoder of another width", weights(lambda w: w.update(W_dec=w["W_dec"][:, 1:])), "W_dec has shape"),
    ("bias of another width", weights(lambda w: w.update(b_dec=w["b_dec"][1:])), "b_dec has shape"),
    ("whole-number weights", weights(lambda w: w.update(W_enc=w["W_enc"].to(torch.int32))), "W_enc"),
    ("NaN in the encoder", spoil("W_enc", float("nan")), "W_enc"),
    ("infinity in the decoder", spoil("W_dec", float("-inf")), "W_dec"),
    ("NaN in a bias", spoil("b_dec", float("nan")), "b_dec"),
    ("too large for float32", weights(lambda w: w.update(b_enc=w["b_enc"].double() * 1e300)), "b_enc"),
    ("truncated weights", truncate, "corrupt"),
    ("junk weights", text(WEIGHTS_FILE, b"\x00junk\n" * 40), "corrupt"),
    ("empty weights", text(WEIGHTS_FILE, b""), "corrupt"),
    ("no weights", lambda folder: (folder / WEIGHTS_FILE).unlink(), WEIGHTS_FILE),
    ("a folder instead of weights", folder_instead_of_weights, WEIGHTS_FILE),
    ("no config", lambda folder: (folder / CONFIG_FILE).unlink(), CONFIG_FILE),
    ("empty config", text(CONFIG_FILE, ""), "JSON"),
    ("broken config", text(CONFIG_FILE, '{"d_in": 12,'), "JSON"),
    ("deep config", text(CONFIG_FILE, "[" * 100_000), "JSON"),
    ("config of bytes", text(CONFIG_FILE, b"\xff\xfe\x00\xd8"), "JSON"),
    ("config not an object", text(CONFIG_FILE, "[1, 2]"), "object"),
    (
        "config with NaN",
        text(CONFIG_FILE, '{"architecture": "standard", "hook_name": 1, "d_in": NaN}'),
        "hook_name",
    ),
    ("wrong recorded checksum", text(CHECKSUM_FILE, f"{'0' * 64}  {WEIGHTS_FILE}\n"), "sha256"),
    ("malformed checksum file", text(CHECKSUM_FILE, "not a checksum"), "malformed"),
    ("checksum of something else", text(CHECKSUM_FILE, f"{'0' * 64}  cfg.json\n"), "does not list"),
    ("checksum file of bytes", text(CHECKSUM_FILE, b"\xff\xfe"), CHECKSUM_FILE),
)


def refusal(spec: LocalSae, model: ModelRecord = MODEL) -> str:
    with pytest.raises(InvalidSae) as caught:
        load_sae(spec, model)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert "Traceback" not in message
    assert len(message) < 700
    return message


def test_there_are_enough_distinct_bad_inputs() -> None:
    assert len({name for name, _, _ in BAD}) == len(BAD) >= 40


@pytest.mark.parametrize(("damage", "named"), [pytest.param(d, n, id=name) for name, d, n in BAD])
def test_b01_b03_b04_b05_b08_b10_b11_b12_b22_a_bad_sae_is_refused(
    tmp_path: Path, damage: Damage, named: str
) -> None:
    folder = saved(tmp_path / "sae")
    load_sae(LocalSae(folder), MODEL)
    damage(folder)
    assert named in refusal(LocalSae(folder))


def test_what_the_library_takes_in_silence(tmp_path: Path) -> None:
    """The reason for checks of our own: the library encodes with each of these without a word."""
    for name in ("NaN in the encoder", "other head count", "missing factor", "after W_O", "one head"):
        folder = saved(tmp_path / name)
        next(damage for bad, damage, _ in BAD if bad == name)(folder)
        assert library_acts(folder, random_z()).shape == (20, D_SAE)


@pytest.mark.parametrize(
    ("n_heads", "d_head", "metadata"),
    [(8, 8, {"n_heads": 4, "d_head": 16}), (2, 7, {}), (3, 3, {})],
)
def test_a_model_of_another_head_split(
    tmp_path: Path, n_heads: int, d_head: int, metadata: dict[str, int]
) -> None:
    folder = saved(tmp_path, metadata=metadata)
    model = replace(MODEL, n_heads=n_heads, d_head=d_head)
    assert f"{n_heads} heads of {d_head}" in refusal(LocalSae(folder), model)


def test_b06_the_same_width_with_another_head_split_is_only_told_by_the_metadata(tmp_path: Path) -> None:
    folder = saved(tmp_path, metadata={"n_heads": 3, "d_head": 4})
    other = replace(MODEL, n_heads=4, d_head=3)
    assert other.n_heads * other.d_head == D_IN
    assert "3 heads of 4" in refusal(LocalSae(folder), other)


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    assert "nowhere" in refusal(LocalSae(tmp_path / "nowhere"))
    (tmp_path / "file").touch()
    assert "file" in refusal(LocalSae(tmp_path / "file"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "loop" in refusal(LocalSae(tmp_path / "loop"))
    assert "a b" in refusal(LocalSae(tmp_path / "a\nb"))


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_b17_a_factor_that_is_no_factor(tmp_path: Path, factor: float) -> None:
    folder = saved(tmp_path, normalize_activations="expected_average_only_in")
    assert str(factor) in refusal(LocalSae(folder, normalize_factor=factor))


def test_a_factor_that_is_not_asked_for(tmp_path: Path) -> None:
    folder = saved(tmp_path, normalize_activations="layer_norm")
    assert "layer_norm" in refusal(LocalSae(folder, normalize_factor=2.0))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("gpt2-small", "pythia-70m"),
        ("gpt2", "gpt2-medium"),
        ("pythia-70m", "EleutherAI/pythia-160m-deduped"),
        ("gemma-2-2b", "google/gemma-3-4b-pt"),
        ("gemma-2b", "gemma-2-2b"),
        ("gemma-2-2b", "gemma-2-9b"),
        ("SmolLM-135M", "SmolLM2-135M"),
        ("llama3.1-8b", "Llama-3.2-1B"),
        ("gelu-1l", "gelu-2l"),
    ],
)
def test_names_of_clearly_different_models(left: str, right: str) -> None:
    assert names_differ(left, right)
    assert names_differ(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("gpt2-small", "gpt2"),
        ("gpt2", "openai-community/gpt2"),
        ("gemma-2-2b", "google/gemma-2-2b"),
        ("SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("llama3.1-8b", "meta-llama/Llama-3.1-8B"),
        ("pythia-70m-deduped", "EleutherAI/pythia-70m-deduped"),
        ("gpt2-small", "my model"),
        ("gpt2-small", "checkpoint-500"),
        ("EleutherAI/gpt-neo-125M", "gpt-neo-125m"),
        ("google/gemma-3-4b-pt", "gemma-3-4b"),
    ],
)
def test_names_that_may_mean_one_model(left: str, right: str) -> None:
    assert not names_differ(left, right)
    assert not names_differ(right, left)
