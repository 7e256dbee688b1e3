"""Decoder weight attribution against slow loops, and its identities."""

import math

import pytest
import torch
from torch.testing import assert_close

from app.attribution.decoder_weights import (
    UNRANKED,
    concentration,
    decoder_weight_norm,
    decoder_weight_share,
    feature_ranks,
    most_similar,
    rank_features,
    unit_rows,
)

D_SAE, N_HEADS, D_HEAD = 17, 3, 5


@pytest.fixture
def w_dec() -> torch.Tensor:
    return torch.randn(D_SAE, N_HEADS, D_HEAD, generator=torch.Generator().manual_seed(0))


def test_norm_and_share_are_the_slow_loop(w_dec: torch.Tensor) -> None:
    norm = decoder_weight_norm(w_dec)
    share = decoder_weight_share(norm)
    for f in range(D_SAE):
        slices = [math.sqrt(sum(float(x) ** 2 for x in w_dec[f, h])) for h in range(N_HEADS)]
        assert_close(norm[f].tolist(), slices, rtol=1e-14, atol=0)
        assert_close(share[f].tolist(), [s / sum(slices) for s in slices], rtol=1e-14, atol=0)


def test_shares_sum_to_one_and_squares_to_the_row(w_dec: torch.Tensor) -> None:
    norm = decoder_weight_norm(w_dec)
    assert_close(decoder_weight_share(norm).sum(1), torch.ones(D_SAE, dtype=torch.float64))
    assert_close(norm.square().sum(1), w_dec.double().flatten(1).square().sum(1))


def test_rescaled_rows_change_norms_only(w_dec: torch.Tensor) -> None:
    factor = torch.rand(D_SAE, 1, 1) + 0.5
    plain, scaled = decoder_weight_norm(w_dec), decoder_weight_norm(w_dec * factor)
    assert_close(scaled, plain * factor[:, :, 0].double(), rtol=1e-6, atol=0)
    assert_close(decoder_weight_share(scaled), decoder_weight_share(plain), rtol=1e-6, atol=0)


def test_a_zero_row_has_no_share_and_nan_is_not_hidden(w_dec: torch.Tensor) -> None:
    w_dec[3] = 0
    w_dec[4, 1, 2] = torch.nan
    share = decoder_weight_share(decoder_weight_norm(w_dec))
    assert share[3].tolist() == [0.0, 0.0, 0.0]
    assert share[4].isnan().all()


def test_tiny_and_half_precision_rows_keep_their_norm() -> None:
    tiny = torch.full((1, 1, 4), 1e-30)
    assert decoder_weight_norm(tiny).item() == pytest.approx(2e-30)
    assert decoder_weight_norm(torch.full((1, 1, 64), 0.01).bfloat16()).item() == pytest.approx(
        0.08, rel=1e-2
    )


def slow_order(column: list[float], eligible: list[bool]) -> list[int]:
    ranked = [f for f, value in enumerate(column) if eligible[f] and not math.isnan(value)]
    return sorted(ranked, key=lambda f: (-column[f], f))


def test_ranking_has_a_full_order() -> None:
    generator = torch.Generator().manual_seed(1)
    # Few distinct values, so that ties are many; every kind of awkward number.
    value = torch.randint(-2, 3, (40, 4), generator=generator).double()
    value[5, 0], value[6, 0], value[7, 1], value[8, 1], value[9, 2] = (
        torch.nan,
        -torch.inf,
        torch.inf,
        -0.0,
        0.0,
    )
    eligible = torch.rand(40, generator=generator) < 0.6
    eligible[5:10] = True
    ranking, ranks = rank_features(value, eligible, 40), feature_ranks(value, eligible)
    for head in range(4):
        order = slow_order(value[:, head].tolist(), eligible.tolist())
        assert ranking[head].tolist() == order + [UNRANKED] * (40 - len(order))
        assert rank_features(value, eligible, 7)[head].tolist() == order[:7]
        places = {f: place for place, f in enumerate(order, start=1)}
        assert ranks[:, head].tolist() == [places.get(f, 0) for f in range(40)]


def test_more_places_than_features() -> None:
    value = torch.tensor([[1.0], [2.0]])
    assert rank_features(value, torch.tensor([True, True]), 4).tolist() == [[1, 0, UNRANKED, UNRANKED]]
    assert rank_features(value, torch.tensor([False, False]), 1).tolist() == [[UNRANKED]]


def test_concentration_is_of_live_features_only() -> None:
    share = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]], dtype=torch.float64)
    assert concentration(share, torch.tensor([False, True, True])).tolist() == [0.7, 0.6]
    assert concentration(share, torch.tensor([False, False, False])).isnan().all()


def test_the_most_similar_rows_are_the_slow_loop() -> None:
    rows = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
    rows[7] = 2 * rows[3]  # the same direction
    rows[8] = 0
    for at_once in (2, 100):
        indices, cosines = most_similar(unit_rows(rows), 3, rows_at_once=at_once)
        for i in range(9):
            found = []
            for j in range(9):
                length = rows[i].double().norm() * rows[j].double().norm()
                cosine = float(rows[i].double() @ rows[j].double() / length) if length else 0.0
                if j != i:
                    found.append((-round(cosine, 9), j))
            found.sort()
            assert indices[i].tolist() == [j for _, j in found[:3]]
            assert_close(cosines[i].tolist(), [-value for value, _ in found[:3]], rtol=0, atol=1e-8)
    assert indices[3, 0] == 7
    some, some_cosines = most_similar(unit_rows(rows), 3, slice(4, 20), rows_at_once=2)
    assert torch.equal(some, indices[4:])
    assert_close(some_cosines, cosines[4:], rtol=0, atol=1e-12)
    few, _ = most_similar(unit_rows(rows[:2]), 3)
    assert few.tolist() == [[1], [0]]
    assert most_similar(unit_rows(rows[:0]), 3)[0].shape == (0, 3)
