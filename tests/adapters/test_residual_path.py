"""The path from heads to logits on tiny models of many families, against plain transformers written out by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from app.adapters.copying import copying_scores
from app.adapters.interventions import InterventionModel
from app.adapters.language_model import Processing
from app.adapters.model_sources import find_model
from app.adapters.transformer_lens_model import load_model
from app.attribution.logits import logit_effect
from app.errors import InvalidModel
from app.experiments.logit_attribution import logit_parts
from tests.support.model_families import plain_model, save_family

LAYER = 1
TOKENS = torch.randint(5, 300, (2, 20), generator=torch.Generator().manual_seed(3))
POSITION = torch.tensor([15, 18])
Weight = Callable[[Any], Tensor]


def _w(name: str, plus: float = 0) -> Weight:
    return lambda block: getattr(block, name).weight.detach() + plus


# norm before attention, norm after it, what its output is multiplied by, 1 added to the final norm, logit scale
PATHS: dict[str, tuple[Weight | None, Weight | None, float, float, float]] = {
    "cohere": (_w("input_layernorm"), None, 1, 0, 0.0625),
    "exaone4": (None, _w("post_attention_layernorm"), 1, 0, 1),
    "gemma2": (_w("input_layernorm", 1), _w("post_attention_layernorm", 1), 1, 1, 1),
    "gemma3_text": (_w("input_layernorm", 1), _w("post_attention_layernorm", 1), 1, 1, 1),
    "glm4": (_w("input_layernorm"), _w("post_self_attn_layernorm"), 1, 0, 1),
    "granite": (_w("input_layernorm"), None, 0.22, 0, 1 / 8),
    "llama": (_w("input_layernorm"), None, 1, 0, 1),
    "nemotron": (_w("input_layernorm", 1), None, 1, 1, 1),
    "olmo2": (None, _w("post_attention_layernorm"), 1, 0, 1),
    "olmo3": (None, _w("post_attention_layernorm"), 1, 0, 1),
    "qwen3_next": (_w("input_layernorm", 1), None, 1, 1, 1),
}
CENTRED = {"cohere", "nemotron"}
HOLDS = sorted({*PATHS, "bloom", "deepseek_v3", "falcon_h1", "gpt_neo", "gptj", "mpt", "opt", "vaultgemma"})


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folders: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in folders:
            folders[family] = save_family(family, tmp_path_factory.mktemp(family) / family)
        return folders[family]

    return make


def _load(folder: Path, processing: Processing = "raw") -> InterventionModel:
    return InterventionModel.of(load_model(find_model(str(folder), Path("unused")), processing, check=False))


def _centred(family: str, values: Tensor) -> Tensor:
    return values - values.mean(dim=-1, keepdim=True) if family in CENTRED else values


@pytest.mark.parametrize("family", HOLDS)
def test_the_parts_of_the_stream_sum_to_the_logit(family: str, folder_of: Callable[[str], Path]) -> None:
    model = _load(folder_of(family))
    residual = model.residual_decomposition(TOKENS, POSITION)
    parts = logit_parts(residual, model.read_out(), TOKENS[torch.arange(2), POSITION + 1])
    assert parts.worst_error < 1e-5
    with_heads = list(model.attention_layers)
    assert parts.heads[:, with_heads].abs().min() > 0
    logits = model.logits(TOKENS)[torch.arange(2), POSITION]
    cap = model.read_out().soft_cap
    shown = residual.logits if cap is None else cap * torch.tanh(residual.logits / cap)
    torch.testing.assert_close(shown, logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", sorted(PATHS))
def test_logit_effects_go_through_all_that_the_model_has(
    family: str, folder_of: Callable[[str], Path]
) -> None:
    folder = folder_of(family)
    model, plain = _load(folder), plain_model(folder)
    _, after, multiplier, offset, scale = PATHS[family]
    block = plain.model.layers[LAYER]
    w_dec = torch.randn(3, 32, generator=torch.Generator().manual_seed(1))
    written = w_dec @ block.self_attn.o_proj.weight.detach().T
    written = written if after is None else written * after(block)
    final = (
        plain.model.norm.weight.detach() + offset
        if getattr(plain.model.norm, "weight", None) is not None
        else 1
    )
    logits = _centred(family, written * multiplier) * final @ plain.lm_head.weight.detach().T * scale
    expected = logits - logits.mean(dim=1, keepdim=True)
    out = model.unembed_weights()
    direction = torch.einsum("fhe,hem->fm", w_dec.unflatten(1, (4, 8)), model.head_weights(LAYER).w_write)
    effect = logit_effect(direction, out.w_u, out.final_norm_weight, out.centre_residual)
    torch.testing.assert_close(effect, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", sorted(PATHS))
def test_copying_scores_are_of_the_whole_circuit(family: str, folder_of: Callable[[str], Path]) -> None:
    folder = folder_of(family)
    model, plain = _load(folder), plain_model(folder)
    before, after, _, offset, _ = PATHS[family]
    block = plain.model.layers[LAYER]
    w_e, w_u = plain.model.embed_tokens.weight.detach().double(), plain.lm_head.weight.detach().double()
    w_u = w_u - w_u.mean(dim=0)
    final = plain.model.norm.weight.detach().double() + offset
    read = w_e if before is None else _centred(family, w_e) * before(block).double()
    for head in range(4):
        rows = slice(8 * (head // 2), 8 * (head // 2) + 8)
        values = read @ block.self_attn.v_proj.weight.detach().double()[rows].T
        written = values @ block.self_attn.o_proj.weight.detach().double()[:, 8 * head : 8 * head + 8].T
        written = written if after is None else written * after(block).double()
        circuit = _centred(family, written) * final @ w_u.T
        eigenvalues = torch.linalg.eigvals(circuit)
        expected = float(eigenvalues.real.sum() / eigenvalues.abs().sum())
        assert copying_scores(model)[LAYER, head] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("family", ["gemma2", "granite", "olmo2"])
def test_processed_weights_give_the_same_effects(family: str, folder_of: Callable[[str], Path]) -> None:
    w_dec = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(1))
    effects = []
    for processing in ("raw", "processed"):
        model = _load(folder_of(family), processing)
        out = model.unembed_weights()
        direction = torch.einsum("fhe,hem->fm", w_dec, model.head_weights(LAYER).w_write)
        effects.append(logit_effect(direction, out.w_u, out.final_norm_weight, out.centre_residual))
    torch.testing.assert_close(*effects, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["modernbert-decoder", "openai-gpt"])
def test_a_path_that_is_not_described_is_withheld_with_the_reason(
    family: str, folder_of: Callable[[str], Path]
) -> None:
    model = _load(folder_of(family))
    reason = model.logits_withheld(LAYER)
    assert reason is not None
    with pytest.raises(InvalidModel, match=reason):
        model.residual_decomposition(TOKENS, POSITION)
    assert torch.from_numpy(copying_scores(model)).isnan().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_path_is_found_in_half_precision(dtype: torch.dtype, folder_of: Callable[[str], Path]) -> None:
    for family, multiplier in (("granite", 0.22), ("gemma2", 1.0)):
        model = load_model(find_model(str(folder_of(family)), Path("unused")), "raw", "cpu", dtype)
        assert model.logits_withheld(0) is None
        assert model.path.layers[LAYER].multiplier == multiplier
        assert (model.path.layers[LAYER].norm_after is None) == (family == "granite")


def test_a_large_stream_moves_no_factor(tmp_path: Path) -> None:
    """Rounding of a stream with massive activations is not taken for a multiplier."""
    folder = save_family("llama", tmp_path / "llama")
    model = _load(folder)
    model._bridge.embed.original_component.weight.data[:, 0] += 3e4
    assert [(path.multiplier, path.withheld) for path in model.path.layers] == [(1.0, None)] * 3
