"""Activations, weights and losses of tiny models, checked against the plain Hugging Face ones."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, einsum
from transformers import AutoModelForCausalLM

from app.adapters.language_model import LayerActivations
from app.adapters.model_sources import find_model
from app.adapters.transformer_lens_model import TransformerLensModel, load_model
from app.attribution.logits import logit_effect
from app.domain.records import Processing
from app.errors import InvalidModel
from tests.support.tensors import assert_near
from tests.support.tiny_models import save_tiny_gpt2, save_tiny_llama

N_LAYERS, N_HEADS, D_HEAD = 3, 4, 8
KINDS = ["gpt2", "llama"]
PROCESSINGS: tuple[Processing, ...] = ("raw", "processed")
Models = dict[tuple[str, str], TransformerLensModel]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "gpt2": save_tiny_gpt2(root / "gpt2", n_layers=N_LAYERS),
        "llama": save_tiny_llama(root / "llama", n_layers=N_LAYERS),
    }


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> Models:
    sources = {kind: find_model(str(folder), folder) for kind, folder in folders.items()}
    return {
        (kind, processing): load_model(sources[kind], processing)
        for kind in KINDS
        for processing in PROCESSINGS
    }


@pytest.fixture
def tokens() -> Tensor:
    found = torch.randint(2, 320, (3, 12), generator=torch.Generator().manual_seed(5))
    found[:, 0] = 0
    return found


@pytest.fixture(params=[(kind, processing) for kind in KINDS for processing in PROCESSINGS], ids="-".join)
def model(request: pytest.FixtureRequest, models: Models) -> TransformerLensModel:
    return models[request.param]


def test_the_record_says_what_the_model_is(models: Models) -> None:
    gpt2, llama = models["gpt2", "raw"].record, models["llama", "raw"].record
    assert (gpt2.n_layers, gpt2.n_heads, gpt2.n_key_value_heads, gpt2.d_head) == (3, 4, 4, 8)
    assert (llama.n_layers, llama.n_heads, llama.n_key_value_heads, llama.d_head) == (3, 4, 2, 8)
    assert (gpt2.d_model, gpt2.d_vocab, gpt2.bos_token_id, gpt2.name) == (32, 320, 0, "gpt2")
    assert models["gpt2", "raw"].context_limit == 64


def test_z_is_the_pattern_times_v(model: TransformerLensModel, tokens: Tensor) -> None:
    for found in model.activations(tokens, range(N_LAYERS)).values():
        assert found.z.shape == (3, 12, N_HEADS, D_HEAD)
        assert found.v.shape == (3, 12, N_HEADS, D_HEAD)
        assert_near(einsum("bhds,bshe->bdhe", found.pattern, found.v), found.z)
        assert_near(found.pattern.sum(-1), torch.ones(3, N_HEADS, 12))
        assert found.pattern.triu(1).abs().max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_heads_sum_to_the_attention_output(
    kind: str, models: Models, folders: dict[str, Path], tokens: Tensor
) -> None:
    plain: Any = AutoModelForCausalLM.from_pretrained(folders[kind], dtype=torch.float32).eval()
    blocks = (
        [block.attn for block in plain.transformer.h]
        if kind == "gpt2"
        else [block.self_attn for block in plain.model.layers]
    )
    outputs: list[Tensor] = []
    for block in blocks:
        block.register_forward_hook(lambda _module, _inputs, output: outputs.append(output[0]))
    with torch.no_grad():
        plain(tokens)
    model = models[kind, "raw"]
    for layer, found in model.activations(tokens, range(N_LAYERS)).items():
        by_head = einsum("bdhe,hem->bdhm", found.z, model.head_weights(layer).w_o)
        bias = blocks[layer].c_proj.bias.detach() if kind == "gpt2" else 0
        assert_near(by_head.sum(2) + bias, outputs[layer])


@pytest.mark.parametrize("kind", KINDS)
def test_raw_values_are_the_normalised_residual_times_w_v(
    kind: str, models: Models, folders: dict[str, Path], tokens: Tensor
) -> None:
    """Pins the order in which key-value heads are repeated, which z = pattern @ v alone cannot."""
    plain: Any = AutoModelForCausalLM.from_pretrained(folders[kind], dtype=torch.float32).eval()
    block = plain.transformer.h[0] if kind == "gpt2" else plain.model.layers[0]
    norm = block.ln_1 if kind == "gpt2" else block.input_layernorm
    normed: list[Tensor] = []
    norm.register_forward_hook(lambda _module, _inputs, output: normed.append(output))
    with torch.no_grad():
        plain(tokens)
    model = models[kind, "raw"]
    w_v = model.head_weights(0).w_v
    assert w_v.shape == (N_HEADS, 32, D_HEAD)
    bias = block.attn.c_attn.bias[-32:].view(N_HEADS, D_HEAD).detach() if kind == "gpt2" else 0
    assert_near(einsum("bsm,hme->bshe", normed[0], w_v) + bias, model.activations(tokens, [0])[0].v)
    assert (model.head_weights(0).input_norm_weight - norm.weight).abs().max() == 0


def test_b21_grouped_values_are_repeated_for_neighbouring_heads(models: Models, tokens: Tensor) -> None:
    model = models["llama", "raw"]
    v = model.activations(tokens, [1])[1].v
    assert torch.equal(v[:, :, 0], v[:, :, 1])
    assert torch.equal(v[:, :, 2], v[:, :, 3])
    assert not torch.equal(v[:, :, 0], v[:, :, 2])
    w_v = model.head_weights(1).w_v
    assert torch.equal(w_v[0], w_v[1])
    assert not torch.equal(w_v[1], w_v[2])


def test_stopping_early_changes_nothing(model: TransformerLensModel, tokens: Tensor) -> None:
    whole = model.activations(tokens, range(N_LAYERS))
    for layer in range(N_LAYERS):
        alone = model.activations(tokens, [layer])
        assert list(alone) == [layer]
        for name in ("z", "v", "pattern"):
            assert torch.equal(getattr(alone[layer], name), getattr(whole[layer], name))


def test_only_as_deep_as_the_last_layer(models: Models, tokens: Tensor) -> None:
    model = models["gpt2", "raw"]
    n_runs = 0

    def count(*_: object) -> None:
        nonlocal n_runs
        n_runs += 1

    handle = model._bridge.blocks[2].attn.register_forward_pre_hook(count)
    try:
        model.hook_z(tokens, [2])
        assert n_runs == 1
        assert set(model.activations(tokens, [0, 1])) == {0, 1}
        assert set(model.hook_z(tokens, [1])) == {1}
        assert n_runs == 1
    finally:
        handle.remove()


@pytest.mark.parametrize("kind", KINDS)
def test_neither_the_last_mlp_nor_the_unembedding_is_run(kind: str, models: Models, tokens: Tensor) -> None:
    model = models[kind, "raw"]
    ran: list[str] = []
    bridge = model._bridge
    parts = {"mlp 1": bridge.blocks[1].mlp, "mlp 2": bridge.blocks[2].mlp, "unembed": bridge.unembed}
    handles = [
        part.register_forward_pre_hook(lambda *_, name=name: ran.append(name)) for name, part in parts.items()
    ]
    try:
        model.activations(tokens, [2])
        model.hook_z(tokens, [2])
        model.patterns(tokens)
        assert ran == ["mlp 1"] * 3
        model.loss(tokens)
        assert ran[3:] == ["mlp 1", "mlp 2", "unembed"]
    finally:
        for handle in handles:
            handle.remove()


def test_each_layer_is_read_as_it_is_made(model: TransformerLensModel, tokens: Tensor) -> None:
    patterns: dict[int, Tensor] = {}
    found: dict[int, LayerActivations] = {}
    order: list[tuple[str, int]] = []

    def read(layer: int, activations: LayerActivations) -> None:
        order.append(("layer", layer))
        found[layer] = activations

    def read_pattern(layer: int, pattern: Tensor) -> None:
        order.append(("pattern", layer))
        patterns[layer] = pattern

    model.read_layers(tokens, [2, 0], read, read_pattern)
    assert len(order) == N_LAYERS + 2
    assert [layer for kind, layer in order if kind == "pattern"] == list(range(N_LAYERS))
    assert order.index(("layer", 0)) < order.index(("pattern", 1))
    whole = model.activations(tokens, range(N_LAYERS))
    assert all(torch.equal(pattern, whole[layer].pattern) for layer, pattern in patterns.items())
    assert list(found) == [0, 2]
    for layer, each in found.items():
        for name in ("z", "v", "pattern"):
            assert torch.equal(getattr(each, name), getattr(whole[layer], name))
    found.clear()
    model.read_layers(tokens, [1], read)  # no deeper than the layer asked for
    assert list(found) == [1]
    assert torch.equal(found[1].z, whole[1].z)


def test_a15_the_batch_size_is_no_more_than_rounding(model: TransformerLensModel, tokens: Tensor) -> None:
    together = model.activations(tokens, [2])[2]
    for row in range(len(tokens)):
        alone = model.activations(tokens[row : row + 1], [2])[2]
        assert_near(alone.z[0], together.z[row])
        assert_near(alone.pattern[0], together.pattern[row])


def test_hook_z_and_patterns_are_those_of_activations(model: TransformerLensModel, tokens: Tensor) -> None:
    found = model.activations(tokens, range(N_LAYERS))
    z, patterns = model.hook_z(tokens, [0, 2]), model.patterns(tokens)
    assert list(z) == [0, 2]
    assert list(patterns) == [0, 1, 2]
    assert all(torch.equal(z[layer], found[layer].z) for layer in z)
    assert all(torch.equal(patterns[layer], found[layer].pattern) for layer in patterns)


def test_processing_shifts_z_by_a_constant_of_the_head(models: Models, tokens: Tensor) -> None:
    """The trap: equal predictions, another hook_z."""
    raw, processed = models["gpt2", "raw"], models["gpt2", "processed"]
    assert_near(raw.loss(tokens), processed.loss(tokens), 2e-5)
    for layer in range(N_LAYERS):
        shift = raw.activations(tokens, [layer])[layer].z - processed.activations(tokens, [layer])[layer].z
        assert_near(shift, shift[:1, :1].expand_as(shift), 2e-5)
        assert (shift[0, 0].abs().amax(-1) > 0.1).all()


def test_processing_leaves_a_model_without_biases_alone(models: Models, tokens: Tensor) -> None:
    raw, processed = models["llama", "raw"], models["llama", "processed"]
    assert_near(raw.loss(tokens), processed.loss(tokens), 2e-5)
    assert_near(raw.activations(tokens, [2])[2].z, processed.activations(tokens, [2])[2].z, 2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_logit_effects_do_not_depend_on_processing(kind: str, models: Models) -> None:
    w_dec = torch.randn(5, N_HEADS, D_HEAD, generator=torch.Generator().manual_seed(1))
    effects = []
    for processing in PROCESSINGS:
        model = models[kind, processing]
        unembed = model.unembed_weights()
        direction = einsum("fhe,hem->fm", w_dec, model.head_weights(1).w_o)
        effects.append(
            logit_effect(direction, unembed.w_u, unembed.final_norm_weight, unembed.centre_residual)
        )
    assert_near(effects[0], effects[1], 1e-4)
    assert effects[0].std() > 0.1
    assert models[kind, "raw"].unembed_weights().centre_residual is (kind == "gpt2")


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_plain_models(
    kind: str, models: Models, folders: dict[str, Path], tokens: Tensor
) -> None:
    plain: Any = AutoModelForCausalLM.from_pretrained(folders[kind], dtype=torch.float32).eval()
    with torch.no_grad():
        logits = plain(tokens).logits[:, :-1]
    expected = torch.nn.functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")
    assert_near(models[kind, "raw"].loss(tokens), expected)


def test_putting_z_back_leaves_the_loss_and_zeros_change_it(
    model: TransformerLensModel, tokens: Tensor
) -> None:
    clean = model.loss(tokens)
    assert clean.shape == (3, 11)
    for layer, z in model.hook_z(tokens, range(N_LAYERS)).items():
        assert_near(model.loss(tokens, layer, z), clean, 1e-6)
        assert (model.loss(tokens, layer, torch.zeros_like(z)) - clean).abs().max() > 0.01
    assert torch.equal(model.loss(tokens), clean)  # no hook stays behind


@pytest.mark.parametrize("layer", [-1, N_LAYERS])
def test_b09_a_missing_layer_is_one_sentence(models: Models, tokens: Tensor, layer: int) -> None:
    model = models["llama", "raw"]
    asks = [
        lambda: model.activations(tokens, [0, layer]),
        lambda: model.hook_z(tokens, [layer]),
        lambda: model.head_weights(layer),
        lambda: model.loss(tokens, layer, torch.zeros(3, 12, N_HEADS, D_HEAD)),
    ]
    for ask in asks:
        with pytest.raises(InvalidModel, match=rf"^llama has layers 0 to 2, not {layer}$"):
            ask()
    with pytest.raises(ValueError, match="no layers"):
        model.activations(tokens, [])


def test_embedding_rows_are_what_the_first_block_reads(models: Models) -> None:
    embedding = models["llama", "raw"].embedding()
    assert embedding.shape == (320, 32)
    assert_near(embedding.T, models["llama", "raw"].unembed_weights().w_u)  # tied in this model
