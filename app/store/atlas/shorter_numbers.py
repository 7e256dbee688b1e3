"""Numbers of a feature as blocks keep them: 16 significant bits of what pages print three digits of.

That is a relative error of at most 2^-16. What follows from other numbers is left out: shares of the decoder weight and
of active tokens, and the inner edges of regular bins.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from app.store.atlas.field_arrays import Arrays, StoredArrays

_FVE = ("fve_active.", "fve_all.")
_SHORT = (
    "promoted.logit",
    "suppressed.logit",
    "head_promoted.logit",
    "head_suppressed.logit",
    "first_logit_by_head",
    "similar.cosine",
    *_FVE,
)
_NORM, _SHARE = "decoder_weight_norm", "decoder_weight_share"
_SHARE_ERROR = 2.0**-22
_N_TOKENS, _OF_ACTIVE = "groups.n_tokens", "groups.share_of_active"
_EDGES, _ENDS, _COUNTS = "logit_histogram.edges", "logit_histogram.ends", "logit_histogram.counts"


def shorter(features: Sequence[Arrays], n_active: Sequence[int]) -> list[Arrays]:
    """The arrays of each feature's block in fewer bytes. n_active: the tokens on which each is active."""
    long = [array for arrays in features for name, array in arrays.items() if name.startswith(_SHORT)]
    short = iter(_rounded(long))
    stored = [
        {name: next(short) if name.startswith(_SHORT) else array for name, array in arrays.items()}
        for arrays in features
    ]
    regular = _have_regular_edges(features)
    for arrays, has_regular_edges, whole, n in zip(stored, regular, features, n_active, strict=True):
        if has_regular_edges:
            arrays[_ENDS] = arrays.pop(_EDGES)[[0, -1]].astype(np.float64)
        if np.allclose(whole[_SHARE], _share(whole[_NORM]), rtol=_SHARE_ERROR, atol=0):
            del arrays[_SHARE]
        if np.array_equal(whole[_OF_ACTIVE], _share_of_active(whole, n)):
            del arrays[_OF_ACTIVE]
    return stored


def longer(arrays: StoredArrays, n_active: int) -> StoredArrays:
    """The arrays of a feature's record from those of its block. n_active: the tokens on which it is active."""
    found = StoredArrays(
        {name: array.astype(np.float64) if name.startswith(_FVE) else array for name, array in arrays.items()}
    )
    if _SHARE not in found:
        found[_SHARE] = _share(found[_NORM])
    if _OF_ACTIVE not in found:
        found[_OF_ACTIVE] = _share_of_active(found, n_active)
    if _ENDS in found:
        found[_EDGES] = _between(found.pop(_ENDS), len(found[_COUNTS]) + 1)
    return found


def _share(norm: NDArray[np.floating]) -> NDArray[np.float32]:
    """Each head's share of the sum of the norms, as `decoder_weight_share` of attribution has it."""
    total = norm.sum(dtype=np.float64)
    return (norm / (total or 1.0)).astype(np.float32)


def _share_of_active(arrays: Arrays, n_active: int) -> NDArray[np.float64]:
    return arrays[_N_TOKENS] / max(n_active, 1)


def _have_regular_edges(features: Sequence[Arrays]) -> list[bool]:
    """Whether the edges of each feature's histogram follow from their ends."""
    regular = [False] * len(features)
    places: dict[int, list[int]] = {}
    for place, arrays in enumerate(features):
        places.setdefault(len(arrays[_EDGES]), []).append(place)
    for n_edges, alike in places.items():
        edges = np.array([features[place][_EDGES] for place in alike], np.float64)
        ends = edges[:, [0, -1]]
        # Those of no width by themselves: among others of such, numpy divides before it multiplies.
        wide = ends[:, 0] != ends[:, 1]
        between = np.repeat(ends[:, :1], n_edges, axis=1)
        between[wide] = np.linspace(ends[wide, 0], ends[wide, 1], n_edges, axis=1)
        close = np.abs(edges - between) <= 1e-12 * np.ptp(ends, axis=1, keepdims=True)
        for place, is_regular in zip(alike, close.all(1).tolist(), strict=True):
            regular[place] = is_regular
    return regular


def _between(ends: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.linspace(float(ends[0]), float(ends[1]), n)


def _rounded(arrays: Sequence[NDArray[np.floating]]) -> list[NDArray[np.float32]]:
    """Each array with the last byte of its float32 0, rounded to even."""
    if not arrays:
        return []
    joined = np.concatenate(arrays, axis=None, dtype=np.float32, casting="same_kind")
    bits = joined.view(np.uint32).astype(np.int64)
    rounded = (bits + 0x7F + (bits >> 8 & 1) & 0xFFFFFF00).astype(np.uint32).view(np.float32)
    ends = accumulate((array.size for array in arrays), initial=0)
    pieces = (rounded[start:end] for start, end in pairwise(ends))
    return [piece.reshape(array.shape) for piece, array in zip(pieces, arrays, strict=True)]
