"""Gemma Scope and Gemma Scope 2 on random models of the real head shapes: from the registry's name to the atlas."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from app.adapters.model_sources import find_model
from app.adapters.sae_formats import load_sae, resolve
from app.adapters.sae_sources import ReleaseSae
from app.adapters.transformer_lens_model import load_model
from app.store.atlas.reads import get_sequences
from app.store.database.engine import read_session
from tests.parity.plain import PlainModel
from tests.support.model_families import FAMILIES, save_family
from tests.support.tiny_jobs import PublishedAtlas, Tiny, run, write_text, z_of

LAYER, N_SEQUENCES, N_DIRECTIONS, WIDTH, THRESHOLD = 1, 4, 60, 16384, 0.03


@dataclass(frozen=True)
class Scope:
    """A published SAE, and the shape of the model that it is of."""

    family: str
    model: str
    shape: dict[str, int]
    release: str
    sae_id: str

    @property
    def arguments(self) -> dict[str, Any]:
        if "text_config" in FAMILIES[self.family]:
            return {"text_config": {**FAMILIES[self.family]["text_config"], **self.shape}}
        return self.shape


def shape(hidden: int, heads: int, key_value_heads: int) -> dict[str, int]:
    return {
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "head_dim": 256,
        "query_pre_attn_scalar": 256,
    }


SCOPES = [
    Scope(
        "gemma2",
        "gemma-2-2b",
        shape(2304, 8, 4),
        "gemma-scope-2b-pt-att-canonical",
        "layer_1/width_16k/canonical",
    ),
    Scope(
        "gemma2",
        "gemma-2-9b",
        shape(3584, 16, 8),
        "gemma-scope-9b-pt-att-canonical",
        "layer_1/width_16k/canonical",
    ),
    Scope(
        "gemma3_text",
        "gemma-3-1b-pt",
        shape(1152, 4, 1),
        "gemma-scope-2-1b-pt-att-all",
        "layer_1_width_16k_l0_big",
    ),
    Scope(
        "gemma3",
        "gemma-3-4b-pt",
        shape(2560, 8, 4),
        "gemma-scope-2-4b-pt-att-all",
        "layer_1_width_16k_l0_big",
    ),
]


def put_in_cache(cache: Path, scope: Scope, z: torch.Tensor) -> dict[str, torch.Tensor]:
    """The SAE's file where the hub's client has it after the download. Reads z's main directions, both ways."""
    resolved = resolve(scope.release, scope.sae_id)
    repo = cache / ("models--" + resolved.repo_id.replace("/", "--"))
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0" * 40)
    path = repo / "snapshots" / ("0" * 40) / resolved.weights_file
    path.parent.mkdir(parents=True)
    mean = z.mean(0)
    directions = torch.linalg.svd(z - mean, full_matrices=False).Vh[:N_DIRECTIONS]
    both = torch.cat([directions, -directions])
    w_dec = torch.zeros(WIDTH, z.shape[1])
    w_dec[: len(both)] = both
    b_enc = torch.full((WIDTH,), -1e3)
    b_enc[: len(both)] = -(both @ mean)
    weights = {
        "w_enc": w_dec.T.contiguous(),
        "w_dec": w_dec,
        "b_enc": b_enc,
        "b_dec": mean,
        "threshold": torch.full((WIDTH,), THRESHOLD),
    }
    if path.suffix == ".npz":
        upper = {"w_enc": "W_enc", "w_dec": "W_dec"}
        np.savez(path, **{upper.get(name, name): tensor.numpy() for name, tensor in weights.items()})
    else:
        save_file(weights, path)
    return weights


@pytest.mark.parametrize(
    "scope",
    [
        pytest.param(each, marks=pytest.mark.sweep if "9b" in each.model else pytest.mark.slow, id=each.model)
        for each in SCOPES
    ],
)
def test_a_scope_of_the_real_shape_makes_an_atlas(
    scope: Scope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = save_family(scope.family, tmp_path / scope.model, **scope.arguments)
    text = write_text(tmp_path / "corpus.txt")
    z = z_of(folder, text, LAYER, "raw", n=N_SEQUENCES)
    assert z.shape[1] == scope.shape["num_attention_heads"] * 256
    weights = put_in_cache(tmp_path / "hub", scope, z)
    tiny = Tiny(tmp_path, folder, (), text)
    store = str(tmp_path / "store.sqlite")
    run(tiny, store, saes=(ReleaseSae(scope.release, scope.sae_id),), n_prompts=N_SEQUENCES)
    published = PublishedAtlas.open(store)
    (sae,) = published.run.record.saes
    assert (sae.architecture, sae.d_sae, sae.processing) == ("jumprelu", WIDTH, "raw")
    features = published.features(LAYER)
    assert len(features) > 10
    check_examples(published, features, folder, weights)


def check_examples(
    published: PublishedAtlas, features: Any, folder: Path, weights: dict[str, torch.Tensor]
) -> None:
    """Activations, contributions and DFA of stored examples, from the plain model and the SAE's own numbers."""
    with read_session(published.engine) as session:
        rows = get_sequences(session, published.run, range(N_SEQUENCES))
    tokens = torch.from_numpy(np.stack([rows[index] for index in sorted(rows)]).astype(np.int64))
    seen = PlainModel(folder).see(tokens)
    z, v, pattern = (each[LAYER].double() for each in (seen.z, seen.v, seen.pattern))
    for feature in features[:10]:
        column = weights["w_enc"][:, feature.ref.index].double()
        by_head = column.view(z.shape[2:])
        contributions = torch.einsum("bphd,hd->bph", z, by_head)
        p = contributions.sum(-1) + float(weights["b_enc"][feature.ref.index])
        p, contributions = p.numpy(), contributions.numpy()
        activation = np.where(p > THRESHOLD, p, 0)
        examples = feature.examples
        at = (examples.sequence, examples.position)
        close = {"rtol": 1e-3, "atol": 1e-3}
        np.testing.assert_allclose(examples.activation, activation[at], **close)
        np.testing.assert_allclose(examples.pre_activation, p[at], **close)
        np.testing.assert_allclose(examples.head_contribution, contributions[at], **close)
        sequence, position, source = (int(each[0]) for each in (*at, examples.source[:, 0, 0]))
        dfa = pattern[sequence, 0, position, source] * (v[sequence, source, 0] @ by_head[0])
        step = 2 ** np.ceil(np.log2(np.abs(examples.dfa[0]).max())) / 2**11  # DFA is stored in steps
        np.testing.assert_allclose(examples.dfa[0, 0, 0], dfa, rtol=1e-3, atol=5e-3 + step)


def test_a_scope_of_another_size_is_refused_before_its_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = save_family("gemma2", tmp_path / "gemma-2-9b")
    model = load_model(find_model(str(folder), tmp_path), check=False)
    scope = SCOPES[0]
    put_in_cache(tmp_path / "hub", scope, torch.randn(70, 64))
    with pytest.raises(Exception, match="it was trained on gemma-2-2b, and the model is gemma-2-9b"):
        load_sae(ReleaseSae(scope.release, scope.sae_id), model.record)
