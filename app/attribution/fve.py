"""Fraction of a pre-activation's variance explained (FVE) by each head, and how two rankings agree.

numpy only, so that it runs where finished statistics are read and no torch is installed.
"""

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy import ndarray


def fve_from_covariance(
    var_p: Float64[ndarray, " feature"],
    var_c: Float64[ndarray, "feature n_heads"],
    cov_cp: Float64[ndarray, "feature n_heads"],
) -> tuple[
    Float64[ndarray, "feature n_heads"],
    Float64[ndarray, "feature n_heads"],
    Float64[ndarray, "feature n_heads"],
]:
    """FVE by three definitions: covariance share, residual, squared correlation.

    var_p: Var(p) of the pre-activation; var_c: Var(c_h) of each head's contribution; cov_cp: Cov(c_h, p), all
    three with one denominator (it cancels). Covariance shares sum to 1 over heads and may be negative. All
    three are NaN for a feature whose p does not vary; a head whose c_h does not vary explains 0.
    """
    total = np.where(var_p > 0, var_p, np.nan)[:, None]
    share = cov_cp / total
    # Var(p - c) = Var(p) + Var(c) - 2 Cov(c, p)
    residual = (2 * cov_cp - var_c) / total
    r_squared = cov_cp / np.where(var_c > 0, var_c, np.inf) * share
    return share, residual, r_squared


def all_token_covariances(
    z_cov: Float64[ndarray, "d_in d_in"],
    w_read: Float[ndarray, "n_heads d_head d_sae"],
    chunk: int = 1024,
) -> tuple[Float64[ndarray, " d_sae"], Float64[ndarray, "d_sae n_heads"], Float64[ndarray, "d_sae n_heads"]]:
    """Var(p), Var(c_h) and Cov(c_h, p) of every feature over the tokens whose z has covariance z_cov.

    Needs no token: Cov(c_h, p) = w_h^T Cov(z_h, z_cat) w. Holds only for an SAE without a per-token input
    scale. Var(p) is the sum of the covariances over heads.
    """
    n_heads, d_head, d_sae = w_read.shape
    blocks = z_cov.reshape(n_heads, d_head, n_heads, d_head)
    own = np.ascontiguousarray(blocks.diagonal(axis1=0, axis2=2).transpose(2, 0, 1))
    var_c = np.empty((d_sae, n_heads))
    cov_cp = np.empty((d_sae, n_heads))
    for start in range(0, d_sae, chunk):
        part = slice(start, start + chunk)
        w = w_read[:, :, part].astype(np.float64)
        with_all = (z_cov @ w.reshape(n_heads * d_head, -1)).reshape(w.shape)
        cov_cp[part] = (w * with_all).sum(axis=1).T
        var_c[part] = (w * (own @ w)).sum(axis=1).T
    # A constant contribution may come out a rounding error below zero.
    return cov_cp.sum(axis=1).clip(min=0.0), var_c.clip(min=0.0), cov_cp


def spearman(a: Float[ndarray, " n"], b: Float[ndarray, " n"]) -> float | None:
    """Spearman's rank correlation, ties by average rank.

    Pairs with a NaN in either are left out. None with fewer than three pairs, or when either side is
    constant.
    """
    is_pair = ~(np.isnan(a) | np.isnan(b))
    if is_pair.sum() < 3:
        return None
    rank_a, rank_b = _average_ranks(a[is_pair]), _average_ranks(b[is_pair])
    spread = np.sqrt((rank_a @ rank_a) * (rank_b @ rank_b))
    return float(rank_a @ rank_b / spread) if spread > 0 else None


def top_overlap(a: Int[ndarray, " k"], b: Int[ndarray, " k"]) -> int:
    """How many features two top-k lists share. Negative entries are empty places."""
    return len({int(index) for index in a if index >= 0} & {int(index) for index in b if index >= 0})


def _average_ranks(values: Float[ndarray, " n"]) -> Float64[ndarray, " n"]:
    """Ranks from smallest to largest, about their mean; equal values share the mean of their places."""
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(size)
    rank = last - (size - 1) / 2
    return rank[group] - (len(values) + 1) / 2
