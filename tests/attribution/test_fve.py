"""FVE from covariances against numpy's own variances of columns, and rank agreement against slow loops."""

import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose

from app.attribution.fve import all_token_covariances, fve_from_covariance, spearman, top_overlap

N_TOKEN, N_HEADS, D_HEAD, D_SAE = 300, 3, 4, 7


@pytest.fixture
def z() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(N_TOKEN, N_HEADS * D_HEAD)) @ rng.normal(size=(N_HEADS * D_HEAD,) * 2) + 3.0


@pytest.fixture
def w_read() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(N_HEADS, D_HEAD, D_SAE))


def contributions(z: np.ndarray, w_read: np.ndarray) -> np.ndarray:
    c = np.empty((N_TOKEN, D_SAE, N_HEADS))
    for h in range(N_HEADS):
        c[:, :, h] = z[:, h * D_HEAD : (h + 1) * D_HEAD] @ w_read[h]
    return c


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_covariances_from_z_are_those_of_the_tokens(z: np.ndarray, w_read: np.ndarray, chunk: int) -> None:
    var_p, var_c, cov_cp = all_token_covariances(np.cov(z.T), w_read, chunk)
    c = contributions(z, w_read)
    p = c.sum(-1) + 5.0  # a bias changes nothing
    for f in range(D_SAE):
        assert_allclose(var_p[f], np.var(p[:, f], ddof=1))
        for h in range(N_HEADS):
            assert_allclose(var_c[f, h], np.var(c[:, f, h], ddof=1))
            assert_allclose(cov_cp[f, h], np.cov(c[:, f, h], p[:, f])[0, 1])


def test_chunks_agree_and_float32_weights_are_widened(z: np.ndarray, w_read: np.ndarray) -> None:
    narrow = w_read.astype(np.float32)
    one, many = (all_token_covariances(np.cov(z.T), narrow, chunk) for chunk in (2, 100))
    for a, b in zip(one, many, strict=True):
        assert a.dtype == np.float64
        assert_allclose(a, b, rtol=1e-12)


def test_fve_is_its_three_definitions(z: np.ndarray, w_read: np.ndarray) -> None:
    share, residual, r_squared = fve_from_covariance(*all_token_covariances(np.cov(z.T), w_read))
    c = contributions(z, w_read)
    p = c.sum(-1)
    for f in range(D_SAE):
        for h in range(N_HEADS):
            head = c[:, f, h]
            assert_allclose(share[f, h], np.cov(head, p[:, f])[0, 1] / np.var(p[:, f], ddof=1))
            assert_allclose(residual[f, h], 1 - np.var(p[:, f] - head) / np.var(p[:, f]))
            assert_allclose(r_squared[f, h], np.corrcoef(head, p[:, f])[0, 1] ** 2)


def test_covariance_shares_sum_to_one(z: np.ndarray, w_read: np.ndarray) -> None:
    share, _, _ = fve_from_covariance(*all_token_covariances(np.cov(z.T), w_read))
    assert_allclose(share.sum(1), 1.0)
    assert (share < 0).any()


def test_one_head_that_is_everything_explains_everything(z: np.ndarray, w_read: np.ndarray) -> None:
    w_read[1:] = 0
    for fve in fve_from_covariance(*all_token_covariances(np.cov(z.T), w_read)):
        assert_allclose(fve[:, 0], 1.0)
        assert (fve[:, 1:] == 0.0).all()


def test_no_variance_is_nan_not_a_number() -> None:
    for fve in fve_from_covariance(np.zeros(1), np.zeros((1, 2)), np.zeros((1, 2))):
        assert np.isnan(fve).all()


def slow_rank(values: list[float]) -> list[float]:
    return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]


def slow_spearman(a: list[float], b: list[float]) -> float:
    x, y = slow_rank(a), slow_rank(b)
    mx, my = sum(x) / len(x), sum(y) / len(y)
    cov = sum((i - mx) * (j - my) for i, j in zip(x, y, strict=True))
    return cov / math.sqrt(sum((i - mx) ** 2 for i in x) * sum((j - my) ** 2 for j in y))


@pytest.mark.parametrize("n_values", [3, 4, 1000])
def test_spearman_is_the_slow_loop_with_ties(n_values: int) -> None:
    rng = np.random.default_rng(n_values)
    a, b = rng.integers(0, n_values, 60).astype(float), rng.normal(size=60).round(1)
    assert spearman(a, b) == pytest.approx(slow_spearman(a.tolist(), b.tolist()))
    assert spearman(a, a**3) == pytest.approx(1.0)
    assert spearman(a, -a) == pytest.approx(-1.0)


def test_spearman_leaves_nan_pairs_out() -> None:
    a, b = np.array([1.0, np.nan, 3.0, 2.0, 9.0]), np.array([2.0, 1.0, 5.0, 4.0, np.nan])
    assert spearman(a, b) == pytest.approx(slow_spearman([1, 3, 2], [2, 5, 4]))


def test_spearman_of_too_few_or_of_a_constant_is_none() -> None:
    assert spearman(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None
    assert spearman(np.array([1.0, 2.0, np.nan]), np.array([1.0, 2.0, 3.0])) is None
    assert spearman(np.ones(5), np.arange(5.0)) is None


def test_top_overlap_counts_features_and_not_empty_places() -> None:
    lists = [np.array(x) for x in ([3, 1, 2, -1], [2, 9, 3, -1], [-1, -1, -1, -1])]
    assert [top_overlap(a, b) for a, b in pairwise(lists)] == [2, 0]
