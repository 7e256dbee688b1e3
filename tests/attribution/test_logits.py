"""Logit effects against slow loops and a real final norm, and the same from raw and processed weights."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from app.attribution import logits as module
from app.attribution.logits import (
    feature_directions,
    head_slice_tops,
    logit_effect,
    logit_histogram,
    summarise_logits,
    token_logit_by_head,
    top_and_bottom,
)
from app.domain.evidence import NO_TOKEN

D_MODEL, D_VOCAB, N_HEADS, D_HEAD, N_FEATURES = 12, 31, 3, 4, 5


class RandomGpt2:
    """The weights of a random GPT-2 that logit effects need, as trained and processed."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        self.w_dec = normal(N_FEATURES, N_HEADS, D_HEAD)
        self.w_o = normal(N_HEADS, D_HEAD, D_MODEL) + 0.3
        self.w_u = normal(D_MODEL, D_VOCAB) + 0.2
        self.norm_weight = normal(D_MODEL) + 1.0
        # Processing folds the final norm's weight into W_U, centres what writes to the residual stream over
        # d_model, and centres W_U over both axes. None of it changes a probability.
        folded = self.norm_weight[:, None] * self.w_u
        folded = folded - folded.mean(0, keepdim=True)
        self.processed_w_u = folded - folded.mean(1, keepdim=True)
        self.processed_w_o = self.w_o - self.w_o.mean(-1, keepdim=True)

    def raw(self, centre: bool = True) -> Tensor:
        whole = feature_directions(self.w_dec, self.w_o).sum(1)
        return logit_effect(whole, self.w_u, self.norm_weight, centre)

    def processed(self, centre: bool = True) -> Tensor:
        whole = feature_directions(self.w_dec, self.processed_w_o).sum(1)
        ones = torch.ones(D_MODEL, dtype=torch.float64)
        return logit_effect(whole, self.processed_w_u, ones, centre)


def test_directions_are_the_slow_loop_and_heads_sum_to_the_whole() -> None:
    model = RandomGpt2()
    directions = feature_directions(model.w_dec, model.w_o)
    for f in range(N_FEATURES):
        for h in range(N_HEADS):
            slow = [
                sum(float(model.w_dec[f, h, x]) * float(model.w_o[h, x, m]) for x in range(D_HEAD))
                for m in range(D_MODEL)
            ]
            assert_close(directions[f, h].tolist(), slow)
    assert_close(directions.sum(1), model.w_dec.flatten(1) @ model.w_o.flatten(0, 1))


@pytest.mark.parametrize("centre", [True, False])
def test_effect_is_the_slow_loop(centre: bool) -> None:
    model = RandomGpt2()
    direction = feature_directions(model.w_dec, model.w_o).sum(1)
    effect = logit_effect(direction, model.w_u, model.norm_weight, centre)
    for f in range(N_FEATURES):
        mean = float(direction[f].mean()) if centre else 0.0
        logit = [
            sum(
                (float(direction[f, m]) - mean) * float(model.norm_weight[m]) * float(model.w_u[m, t])
                for m in range(D_MODEL)
            )
            for t in range(D_VOCAB)
        ]
        assert_close(effect[f].tolist(), [x - sum(logit) / D_VOCAB for x in logit])
    assert_close(effect.sum(1), torch.zeros(N_FEATURES, dtype=torch.float64))


def test_effect_is_what_a_layer_norm_with_its_scale_held_does() -> None:
    """Log-probabilities before and after the direction is added, through torch's own layer norm."""
    model = RandomGpt2()
    direction = feature_directions(model.w_dec, model.w_o).sum(1)
    # Two opposite steps cancel the change of scale to first order; a huge residual holds it still.
    step, size = 1e-3, 1e3
    residual = size * torch.randn(D_MODEL, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    residual = residual - residual.mean()
    # Only what is orthogonal to the residual leaves the scale alone.
    direction = direction - direction.mean(-1, keepdim=True)
    direction = direction - (direction @ residual)[:, None] * residual / residual.dot(residual)

    def logits(x: Tensor) -> Tensor:
        return torch.nn.functional.layer_norm(x, (D_MODEL,), model.norm_weight, eps=0.0) @ model.w_u

    scale = residual.square().mean().sqrt()
    moved = (logits(residual + step * direction) - logits(residual - step * direction)) * scale / (2 * step)
    moved = moved - moved.mean(-1, keepdim=True)
    assert_close(logit_effect(direction, model.w_u, model.norm_weight, True), moved, rtol=1e-6, atol=1e-6)


def test_raw_and_processed_weights_agree() -> None:
    model = RandomGpt2()
    assert_close(model.raw(), model.processed())


def test_without_the_mean_they_would_not() -> None:
    model = RandomGpt2()
    wrong = (model.raw(centre=False) - model.processed(centre=False)).abs().max()
    assert wrong > 0.04 * model.processed().abs().max()


@pytest.mark.parametrize("n_features", [D_HEAD - 1, D_HEAD])  # through w_o and w_u, and by the head's path
def test_head_slices_are_the_effects_of_their_directions(n_features: int) -> None:
    model = RandomGpt2()
    model.w_dec = model.w_dec[:n_features]
    directions = feature_directions(model.w_dec, model.w_o)
    weights = (model.w_dec, model.w_o, model.w_u, model.norm_weight, True, 6)
    every = torch.ones(n_features, N_HEADS, dtype=torch.bool)
    top, bottom = head_slice_tops(*weights, wanted=every)
    assert top.token_id.shape == (n_features, N_HEADS, 6)
    for h in range(N_HEADS):
        effect = logit_effect(directions[:, h], model.w_u, model.norm_weight, True)
        slow_top, slow_bottom = top_and_bottom(effect, 6)
        assert torch.equal(top.token_id[:, h], slow_top.token_id)
        assert torch.equal(bottom.token_id[:, h], slow_bottom.token_id)
        assert_close(top.logit[:, h], slow_top.logit, rtol=1e-5, atol=1e-5)
        assert_close(bottom.logit[:, h], slow_bottom.logit, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_wanted", [0, 1, 5])
def test_slices_that_are_not_wanted_change_no_other(n_wanted: int) -> None:
    model = RandomGpt2()
    weights = (model.w_dec, model.w_o, model.w_u, model.norm_weight, True, 6)
    every = torch.ones(N_FEATURES, N_HEADS, dtype=torch.bool)
    chosen = torch.randperm(every.numel(), generator=torch.Generator().manual_seed(1))[:n_wanted]
    wanted = torch.zeros_like(every).flatten().index_fill_(0, chosen, True).view_as(every)
    for all_ends, ends in zip(
        head_slice_tops(*weights, wanted=every), head_slice_tops(*weights, wanted=wanted), strict=True
    ):
        assert torch.equal(ends.token_id[wanted], all_ends.token_id[wanted])
        assert_close(ends.logit[wanted], all_ends.logit[wanted], rtol=1e-6, atol=1e-6)
        assert (ends.token_id[~wanted] == NO_TOKEN).all()
        assert not ends.logit[~wanted].any()


def test_a_slice_has_the_same_bits_whichever_others_come_along() -> None:
    """As long as its head's are few, or many."""
    generator = torch.Generator().manual_seed(2)
    w_dec, w_o = torch.randn(300, 3, 8, generator=generator), torch.randn(3, 8, 40, generator=generator)
    w_u, weight = torch.randn(40, 700, generator=generator), torch.ones(40)
    some = torch.zeros(300, 3, dtype=torch.bool)
    some[:100, 0] = some[:3, 1] = some[:5, 2] = True
    fewer = some.clone()
    fewer[10:17, 0] = fewer[1, 1] = fewer[3:, 2] = False
    more, less = (head_slice_tops(w_dec, w_o, w_u, weight, False, 6, wanted=each) for each in (some, fewer))
    for of_more, of_less in zip(more, less, strict=True):
        assert torch.equal(of_more.token_id[fewer], of_less.token_id[fewer])
        assert torch.equal(of_more.logit[fewer], of_less.logit[fewer])


def test_slices_are_placed_by_head_in_whatever_order_the_heads_are_worked_on() -> None:
    model = RandomGpt2()
    weights = (model.w_dec, model.w_o, model.w_u, model.norm_weight, True, 6)
    wanted = torch.rand(N_FEATURES, N_HEADS, generator=torch.Generator().manual_seed(3)) < 0.5
    wanted[:, 0], wanted[D_HEAD:, 1] = True, False  # one head of many features, and one of few
    assert wanted[:, 0].sum() >= D_HEAD > wanted[:, 1].sum() > 0

    def backwards(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return [work(item) for item in reversed(list(items))]

    in_turn = head_slice_tops(*weights, wanted=wanted)
    for side, other in zip(in_turn, head_slice_tops(*weights, wanted=wanted, each=backwards), strict=True):
        assert torch.equal(side.token_id, other.token_id)
        assert torch.equal(side.logit, other.logit)


@pytest.mark.parametrize("centre", [False, True])
def test_a_tokens_logit_by_head_is_that_of_each_slice_and_sums_to_the_features(centre: bool) -> None:
    model = RandomGpt2()
    directions = feature_directions(model.w_dec, model.w_o)
    token_id = torch.arange(N_FEATURES) * 3 % D_VOCAB
    found = token_logit_by_head(directions, token_id, model.w_u, model.norm_weight, centre)
    assert found.shape == (N_FEATURES, N_HEADS)
    for f, token in enumerate(token_id.tolist()):
        for h in range(N_HEADS):
            slow = logit_effect(directions[f, h][None], model.w_u, model.norm_weight, centre)[0, token]
            assert_close(found[f, h], slow.float(), rtol=1e-5, atol=1e-5)
        whole = logit_effect(directions[f].sum(0)[None], model.w_u, model.norm_weight, centre)[0, token]
        assert_close(found[f].sum(), whole.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 2 * D_VOCAB, 10**6])
def test_any_chunk_gives_the_same_summary(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    model = RandomGpt2()
    direction = feature_directions(model.w_dec, model.w_o).sum(1)
    monkeypatch.setattr(module, "CHUNK_LOGITS", chunk)
    summary = summarise_logits(direction, model.w_u, model.norm_weight, True, 7)
    effect = logit_effect(direction, model.w_u, model.norm_weight, True).float()
    top, bottom = top_and_bottom(effect, 7)
    assert torch.equal(summary.promoted.token_id, top.token_id)
    assert torch.equal(summary.suppressed.token_id, bottom.token_id)
    edges, counts = logit_histogram(effect)
    assert_close(summary.edges, edges)
    assert torch.equal(summary.counts, counts)


@pytest.mark.parametrize("n_values", [1, 2, 4, 1000, 10**6])
@pytest.mark.parametrize("k", [1, 5, 20, 100])
@pytest.mark.parametrize(("n_rows", "d_vocab"), [(20, 50), (4, 15_000)])
def test_top_and_bottom_have_a_full_order(n_values: int, k: int, n_rows: int, d_vocab: int) -> None:
    generator = torch.Generator().manual_seed(n_values * 1000 + k)
    logits = torch.randint(0, n_values, (n_rows, d_vocab), generator=generator).float() - n_values / 2
    top, bottom = top_and_bottom(logits, k)
    for row in range(n_rows):
        values = logits[row].tolist()
        best = sorted(range(d_vocab), key=lambda t: (-values[t], t))[:k]
        worst = sorted(range(d_vocab), key=lambda t: (values[t], t))[:k]
        assert top.token_id[row].tolist() == best
        assert bottom.token_id[row].tolist() == worst
        assert top.logit[row].tolist() == [values[t] for t in best]
        assert bottom.logit[row].tolist() == [values[t] for t in worst]


def test_histogram_is_the_slow_loop_and_counts_every_token() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 500, generator=generator)
    logits[1] = (logits[1] * 4).round()  # many values exactly on an edge
    logits[2, 0] = 50.0
    edges, counts = logit_histogram(logits, 40)
    assert counts.sum(1).tolist() == [500] * 6
    for row in range(6):
        slow = [0] * 40
        for value in logits[row].double().tolist():
            above = [b for b in range(40) if value >= edges[row, b].item()]
            slow[above[-1]] += 1
        assert counts[row].tolist() == slow
        assert edges[row, 0].item() == logits[row].min().item()
        assert edges[row, -1].item() == logits[row].max().item()
        assert_close(
            edges[row].diff(), torch.full((40,), edges[row].diff().mean().item(), dtype=torch.float64)
        )
        assert np.array_equal(counts[row], np.histogram(logits[row].double(), bins=edges[row].numpy())[0])


@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e-20, 1e20, 3e37])
@pytest.mark.parametrize("shift", [0.0, 1.0, 1e7])
def test_histogram_of_any_size_is_what_the_edges_say(scale: float, shift: float) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(8, 300, generator=generator).clamp(-3, 3) * scale + shift
    logits[0] = 3e38 * torch.linspace(-1, 1, 300)  # its range is beyond float32
    edges, counts = logit_histogram(logits, 40)
    for row in range(len(logits)):
        slow = np.searchsorted(edges[row, :-1].numpy(), logits[row].double().numpy(), side="right") - 1
        assert counts[row].tolist() == np.bincount(slow, minlength=40).tolist()


def test_logits_on_the_edges_go_where_the_edges_say() -> None:
    """In float32 an edge lands a hair to one side of itself, where dividing by the width may miss it."""
    generator = torch.Generator().manual_seed(0)
    ends = torch.randn(200, 2, generator=generator).sort(dim=1).values
    edges = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * torch.linspace(0, 1, 41)
    logits = torch.cat([ends, edges.clamp(ends[:, :1], ends[:, 1:])], dim=1)
    edges, counts = logit_histogram(logits, 40)
    for row in range(200):
        slow = np.searchsorted(edges[row, :-1].numpy(), logits[row].double().numpy(), side="right") - 1
        assert counts[row].tolist() == np.bincount(slow, minlength=40).tolist()


def test_equal_logits_fall_into_one_bin() -> None:
    edges, counts = logit_histogram(torch.full((1, 9), 2.0), 4)
    assert edges[0].tolist() == [1.5, 1.75, 2.0, 2.25, 2.5]
    assert counts[0].tolist() == [0, 0, 9, 0]


def test_half_precision_logits_are_centred_in_float32() -> None:
    direction, w_u = torch.ones(1, 4).bfloat16(), torch.randn(4, 300).bfloat16()
    effect = logit_effect(direction, w_u, torch.ones(4).bfloat16(), False)
    assert effect.dtype == torch.float32
    assert math.isclose(effect.mean().item(), 0.0, abs_tol=1e-6)
