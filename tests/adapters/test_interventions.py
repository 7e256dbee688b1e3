"""Replaced head outputs and residual decompositions, on tiny models of both families and processings."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from app.adapters.interventions import InterventionModel, ZEdit
from app.adapters.model_sources import find_model
from app.adapters.transformer_lens_model import load_model
from app.domain.refs import HeadRef
from app.errors import InvalidModel
from app.experiments.logit_attribution import logit_parts
from tests.support.tiny_models import save_tiny_gpt2, save_tiny_llama

HEAD = HeadRef(1, 2)
TOKENS = torch.randint(5, 300, (3, 12), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=["gpt2-raw", "gpt2-processed", "llama-raw", "llama-processed"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> InterventionModel:
    family, processing = request.param.split("-")
    folder = tmp_path_factory.mktemp(family) / family
    (save_tiny_gpt2 if family == "gpt2" else save_tiny_llama)(folder)
    return InterventionModel.of(load_model(find_model(str(folder), Path("unused")), processing))


def test_edits_replace_z_at_the_marked_positions_of_one_head(model: InterventionModel) -> None:
    values = torch.randn(3, 12, model.record.d_head, generator=torch.Generator().manual_seed(2))
    positions = torch.zeros(3, 12, dtype=torch.bool)
    positions[:, 4] = True
    whole = model.activations(TOKENS, [1])[1].z.clone()
    whole[:, 4, 2] = values[:, 4]
    edited = model.run_with_z(TOKENS, [ZEdit(HEAD, values, positions)])
    losses = F.cross_entropy(edited[:, :-1].transpose(1, 2), TOKENS[:, 1:], reduction="none")
    torch.testing.assert_close(losses, model.loss(TOKENS, 1, whole), atol=1e-4, rtol=1e-4)
    clean = model.logits(TOKENS)
    torch.testing.assert_close(edited[:, :4], clean[:, :4])
    assert (edited[:, 4:] - clean[:, 4:]).abs().max() > 1e-2


def test_an_edit_without_values_writes_zero_everywhere(model: InterventionModel) -> None:
    whole = model.activations(TOKENS, [1])[1].z.clone()
    whole[:, :, 2] = 0
    losses = F.cross_entropy(
        model.run_with_z(TOKENS, [ZEdit(HEAD)])[:, :-1].transpose(1, 2), TOKENS[:, 1:], reduction="none"
    )
    torch.testing.assert_close(losses, model.loss(TOKENS, 1, whole), atol=1e-4, rtol=1e-4)


def test_edits_of_several_layers_all_apply_and_broadcast(model: InterventionModel) -> None:
    mean = torch.full((1, 1, model.record.d_head), 0.3)
    both = model.run_with_z(TOKENS, [ZEdit(HeadRef(0, 0), mean), ZEdit(HEAD)])
    one = model.run_with_z(TOKENS, [ZEdit(HeadRef(0, 0), mean)])
    assert (both - one).abs().max() > 1e-3
    torch.testing.assert_close(model.run_with_z(TOKENS, []), model.logits(TOKENS))


def test_parts_sum_to_what_the_final_norm_reads_and_to_every_logit(model: InterventionModel) -> None:
    position = torch.tensor([3, 11, 7])
    residual = model.residual_decomposition(TOKENS, position)
    rows = torch.arange(3)
    torch.testing.assert_close(residual.logits, model.logits(TOKENS)[rows, position])
    for target in (torch.tensor([5, 6, 7]), torch.tensor([299, 100, 0])):
        parts = logit_parts(residual, model.read_out(), target)
        expected = residual.logits[rows, target] - residual.logits.mean(dim=1)
        torch.testing.assert_close(parts.logit, expected.double())
        torch.testing.assert_close(parts.total, parts.logit, atol=1e-4, rtol=1e-4)
        assert parts.worst_error < 1e-4
        assert parts.heads.abs().min() > 0


def test_the_two_processings_give_the_same_attribution_of_heads_of_the_last_layer(tmp_path: Path) -> None:
    """Up to the value biases: folding moves what they write from the heads to the attention's bias."""
    source = find_model(str(save_tiny_llama(tmp_path / "llama")), tmp_path)
    parts = [
        logit_parts(model.residual_decomposition(TOKENS, position), model.read_out(), TOKENS[:, 0])
        for model in (InterventionModel.of(load_model(source, p)) for p in ("raw", "processed"))
        for position in [torch.tensor([4, 5, 6])]
    ]
    torch.testing.assert_close(parts[0].heads, parts[1].heads, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(parts[0].mlp, parts[1].mlp, atol=1e-4, rtol=1e-3)


def test_the_residual_before_the_first_layer_is_the_embedding(model: InterventionModel) -> None:
    first = model.residual_before(TOKENS, 0)
    parts = model.residual_decomposition(TOKENS, torch.tensor([2, 2, 2]))
    torch.testing.assert_close(first[:, 2], parts.embedding)
    assert (model.residual_before(TOKENS, 1) - first).abs().max() > 1e-2


@pytest.mark.parametrize("head", [HeadRef(9, 0), HeadRef(0, 9)])
def test_a_head_that_does_not_exist_is_refused(model: InterventionModel, head: HeadRef) -> None:
    with pytest.raises(InvalidModel, match=r"(layers|heads) 0 to"):
        model.run_with_z(TOKENS, [ZEdit(head)])
