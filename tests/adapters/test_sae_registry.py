"""Published SAEs: resolved offline in the library's own registry, and fetched only where they can be used."""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from torch.testing import assert_close

from app.adapters.sae_formats import (
    ReleaseSae,
    get_pretrained_saes_directory,
    load_sae,
    parse_neuronpedia_id,
    resolve,
)
from app.adapters.sae_sources import CONFIG_FILE
from app.domain.records import ModelRecord
from app.errors import InvalidSae
from tests.support.saved_saes import D_HEAD, D_IN, D_SAE, MODEL, N_HEADS, new_sae, random_z, saved
from tests.support.time_limits import less_than

KK = "gpt2-small-hook-z-kk"
KK_REPO = "ckkissane/attn-saes-gpt2-small-all-layers"
GPT2 = replace(MODEL, n_layers=12)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def put(hub_cache: Path, repo_id: str) -> Path:
    """A snapshot folder of a repository, laid out as the hub's client does."""
    repo = hub_cache / ("models--" + repo_id.replace("/", "--"))
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0" * 40)
    snapshot = repo / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    return snapshot


def refusal(release: str, sae_id: str, model: ModelRecord = GPT2) -> str:
    with pytest.raises(InvalidSae) as caught:
        load_sae(ReleaseSae(release, sae_id), model)
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize("layer", range(12))
def test_every_gpt2_small_layer_resolves(layer: int) -> None:
    spec = parse_neuronpedia_id(f"gpt2-small/{layer}-att-kk")
    assert spec == ReleaseSae(KK, f"blocks.{layer}.hook_z")
    resolved = resolve(spec.release, spec.sae_id)
    assert (resolved.repo_id, resolved.loader) == (KK_REPO, "connor_rob_hook_z")
    assert f"_L{layer}_" in resolved.path
    assert resolved.weights_file == resolved.path
    assert resolved.neuronpedia_id == f"gpt2-small/{layer}-att-kk"
    assert resolved.processing == "processed"
    assert resolved.published_l0 is not None
    assert resolved.normalize_factor is None


def test_b24_gemma_scope_resolves_with_slashes_in_the_id() -> None:
    spec = parse_neuronpedia_id("gemma-2-2b/0-gemmascope-att-16k")
    assert spec == ReleaseSae("gemma-scope-2b-pt-att-canonical", "layer_0/width_16k/canonical")
    resolved = resolve(spec.release, spec.sae_id)
    assert (resolved.repo_id, resolved.loader) == ("google/gemma-scope-2b-pt-att", "gemma_2")
    assert resolved.weights_file == "layer_0/width_16k/average_l0_104/params.npz"
    assert resolved.processing == "raw"
    assert resolved.published_l0 is None
    newer = resolve("gemma-scope-2-4b-pt-att-all", "layer_0_width_16k_l0_big")
    assert newer.weights_file == "attn_out_all/layer_0_width_16k_l0_big/params.safetensors"
    assert (newer.loader, newer.published_l0) == ("gemma_3", 60)


def resolves(release: str, sae_id: str) -> bool:
    try:
        return resolve(release, sae_id).release == release
    except InvalidSae:
        return False


def test_over_the_whole_registry_only_attention_head_saes_resolve() -> None:
    registry = get_pretrained_saes_directory()
    resolved = {
        name: [resolves(name, sae_id) for sae_id in entry.saes_map] for name, entry in registry.items()
    }
    assert sum(map(len, resolved.values())) > 10_000
    scopes = {name for name in registry if name.startswith("gemma-scope") and "-att" in name}
    assert len(scopes) == 22
    assert {name for name, flags in resolved.items() if any(flags)} == {KK, *scopes}
    assert {name for name, flags in resolved.items() if all(flags)} == {KK, *scopes}


@pytest.mark.parametrize(
    ("release", "sae_id", "named"),
    [
        ("gpt2-small-hook-z-k", "blocks.5.hook_z", KK),
        (KK, "blocks.5.attn.hook_z", "blocks.5.hook_z"),
        (KK, "blocks.12.hook_z", "blocks.1"),
        ("", "", "release"),
        ("gpt2-small-attn-out-v5-32k", "blocks.0.hook_attn_out", "after W_O"),
        ("gpt2-small-res-jb", "blocks.0.hook_resid_pre", "residual stream"),
        ("gemma-scope-2b-pt-res-canonical", "layer_0/width_16k/canonical", "residual stream"),
        ("someone/repo", "../../secret", "secret"),
        ("someone/repo", "", "someone/repo"),
        ("../repo", "x", "../repo"),
        ("a\nb", "c\nd", "a b"),
    ],
)
def test_names_that_do_not_resolve(release: str, sae_id: str, named: str) -> None:
    assert named in refusal(release, sae_id)


@pytest.mark.parametrize("text", ["gpt2-small/5-att-k", "gpt2-small", "", "x" * 5000, "a\nb"])
def test_unknown_neuronpedia_ids_name_the_nearest(text: str) -> None:
    with pytest.raises(InvalidSae, match="the nearest are") as caught:
        parse_neuronpedia_id(text)
    assert "\n" not in str(caught.value)
    if text == "gpt2-small/5-att-k":
        assert "gpt2-small/5-att-kk" in str(caught.value)


def put_kk(hub_cache: Path, layer: int, act_name: str, **changes: Any) -> dict[str, torch.Tensor]:
    """The files of one SAE of the GPT-2 small release, tiny."""
    path = resolve(KK, f"blocks.{layer}.hook_z").path
    snapshot = put(hub_cache, KK_REPO)
    weights = {name: p.detach().clone() for name, p in new_sae().named_parameters()}
    torch.save({**weights, **changes}, snapshot / path)
    config = {"act_size": D_IN, "dict_size": D_SAE, "act_name": act_name}
    (snapshot / path.replace(".pt", "_cfg.json")).write_text(str(config).replace("'", '"'))
    return weights


def test_a_release_loads_from_the_cache(hub_cache: Path) -> None:
    weights = put_kk(hub_cache, 5, "blocks.5.attn.hook_z")
    loaded = load_sae(parse_neuronpedia_id("gpt2-small/5-att-kk"), GPT2)
    assert (loaded.name, loaded.layer) == (f"{KK}/blocks.5.hook_z", 5)
    assert loaded.hook_name == "blocks.5.attn.hook_z"
    assert (loaded.processing, loaded.neuronpedia_id) == ("processed", "gpt2-small/5-att-kk")
    assert (loaded.training_context_size, len(loaded.checksum)) == (128, 64)
    assert loaded.published_l0 == resolve(KK, "blocks.5.hook_z").published_l0
    assert_close(loaded.coder.w_dec, weights["W_dec"], rtol=0, atol=0)
    z = random_z()
    assert_close(loaded.coder.encode(z).feature_acts, new_sae().encode(z).detach(), rtol=1e-5, atol=1e-5)


def test_a_release_is_checked_like_a_folder(hub_cache: Path) -> None:
    put_kk(hub_cache, 5, "blocks.5.attn.hook_z", W_enc=torch.full((D_IN, D_SAE), torch.nan))
    assert "W_enc" in refusal(KK, "blocks.5.hook_z")
    assert "gpt2-small" in refusal(KK, "blocks.5.hook_z", replace(GPT2, name="SmolLM2-135M"))
    assert "d_in" in refusal(KK, "blocks.5.hook_z", replace(GPT2, n_heads=N_HEADS + 1))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"W_skip": torch.ones(2)}, "its weights hold W_skip, unknown to a standard SAE"),
        ({"b_enc": torch.ones(1)}, "tensor b_enc has shape (1,)"),
        ({"b_dec": torch.full((D_IN,), torch.inf)}, "tensor b_dec holds NaN or infinite numbers"),
    ],
)
def test_weights_of_a_release_that_do_not_fit_are_named(
    hub_cache: Path, changes: dict[str, torch.Tensor], named: str
) -> None:
    put_kk(hub_cache, 5, "blocks.5.attn.hook_z", **changes)
    assert named in refusal(KK, "blocks.5.hook_z")


def test_a_weight_that_a_release_lacks_is_named(hub_cache: Path) -> None:
    put_kk(hub_cache, 5, "blocks.5.attn.hook_z")
    (path,) = hub_cache.rglob("*.pt")
    weights = torch.load(path)
    del weights["b_enc"]
    torch.save(weights, path)
    assert "its weights lack b_enc, which a standard SAE needs" in refusal(KK, "blocks.5.hook_z")


def test_the_identity_of_a_release_is_of_all_that_it_is(hub_cache: Path) -> None:
    folder = put(hub_cache, "someone/attention-saes") / "layer 2"
    saved(folder)
    spec = ReleaseSae("someone/attention-saes", "layer 2")
    before = load_sae(spec, MODEL)
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(config | {"apply_b_dec_to_input": False}))
    after = load_sae(spec, MODEL)
    assert after.checksum == before.checksum
    assert after.identity != before.identity
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    assert load_sae(spec, MODEL).identity == before.identity


def test_a_release_is_refused_by_its_config_before_its_weights_are_read(hub_cache: Path) -> None:
    put_kk(hub_cache, 5, "blocks.5.hook_resid_pre")
    for weights in hub_cache.rglob("*.pt"):
        weights.write_bytes(b"junk")
    assert "hook_resid_pre" in refusal(KK, "blocks.5.hook_z")


def test_b24_pickled_code_is_not_run(hub_cache: Path, tmp_path: Path) -> None:
    put_kk(hub_cache, 5, "blocks.5.attn.hook_z", W_enc=_Touch(tmp_path / "was-run"))
    assert KK_REPO in refusal(KK, "blocks.5.hook_z")
    assert not (tmp_path / "was-run").exists()


class _Touch:
    """Unpickles to a call that leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_hub_repository_can_be_named_directly(hub_cache: Path) -> None:
    folder = put(hub_cache, "someone/attention-saes") / "layer 2"
    saved(folder)
    loaded = load_sae(ReleaseSae("someone/attention-saes", "layer 2"), MODEL)
    assert (loaded.name, loaded.layer) == ("someone/attention-saes/layer 2", 2)
    assert loaded.coder.n_heads * loaded.coder.d_head == N_HEADS * D_HEAD


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def assert_fails_fast() -> None:
    with less_than(5):
        message = refusal(KK, "blocks.5.hook_z")
    assert KK_REPO in message
    assert "HF_TOKEN" in message
    assert "HF_HUB_OFFLINE" in message


@pytest.mark.usefixtures("hub_cache")
def test_offline_without_the_files() -> None:
    assert_fails_fast()


@pytest.mark.usefixtures("hub_cache")
def test_a21_a_hub_that_refuses_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    assert_fails_fast()


@pytest.mark.usefixtures("hub_cache")
def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, silent_server: str) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", silent_server)
    assert_fails_fast()
