"""Families of models whose attention differs: its parts, layers without heads, and the longest context."""

from pathlib import Path

import pytest
import torch
from torch import einsum

from app.adapters.interventions import InterventionModel
from app.adapters.model_sources import find_model
from app.adapters.transformer_lens_model import load_model
from app.errors import InvalidModel
from tests.support.model_families import plain_model, save_family
from tests.support.tensors import assert_near


@pytest.mark.parametrize("family", ["deepseek_v3", "gpt_neo", "gptj", "olmo", "opt", "xglm"])
def test_families_whose_attention_differs_give_its_parts(family: str, tmp_path: Path) -> None:
    """Patterns after the output, values narrower than keys, clipped values: z = A v, and the plain model's pattern."""
    folder = save_family(family, tmp_path / family)
    model = load_model(find_model(str(folder), tmp_path))
    ids = torch.randint(5, 300, (2, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        patterns = plain_model(folder)(ids, output_attentions=True).attentions
    for layer, found in model.activations(ids, range(3)).items():
        assert_near(einsum("bhds,bshe->bdhe", found.pattern, found.v), found.z)
        assert_near(found.pattern, patterns[layer])
        assert found.z.shape[-1] == model.record.d_head == (6 if family == "deepseek_v3" else 8)
    assert len(model.patterns(ids)) == 3


def test_a_hybrid_has_the_heads_of_its_layers_with_attention(tmp_path: Path) -> None:
    model = load_model(find_model(str(save_family("lfm2", tmp_path / "lfm2")), tmp_path))
    assert model.attention_layers == (1, 2)
    ids = torch.randint(5, 300, (2, 20), generator=torch.Generator().manual_seed(0))
    assert sorted(model.patterns(ids)) == [1, 2]
    with pytest.raises(
        InvalidModel, match="^layer 0 of lfm2 has no attention heads; those with heads are 1, 2$"
    ):
        model.activations(ids, [0])
    with pytest.raises(InvalidModel, match="^mamba has no attention heads that Head Atlas can read"):
        load_model(find_model(str(save_family("mamba", tmp_path / "mamba")), tmp_path))


@pytest.mark.parametrize("family", ["mpt", "gpt2", "llama", "bloom"])
def test_the_longest_context_is_the_models_own(family: str, tmp_path: Path) -> None:
    changes = {"bloom": {"seq_length": 48}}.get(family, {})
    model = load_model(find_model(str(save_family(family, tmp_path / family, **changes)), tmp_path))
    assert model.context_limit == (48 if family == "bloom" else 64)
    tokens = torch.ones(1, model.context_limit + 1, dtype=torch.long)
    more = f"^a sequence of {model.context_limit + 1} tokens is more than {family} can read"
    for run in (
        lambda: model.activations(tokens, [1]),
        lambda: model.hook_z(tokens, [1]),
        lambda: model.patterns(tokens),
        lambda: model.loss(tokens),
        lambda: InterventionModel.of(model).run_with_z(tokens, []),
    ):
        with pytest.raises(InvalidModel, match=more):
            run()
