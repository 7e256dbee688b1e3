"""Numbers of a feature as blocks keep them: 16 significant bits of logits and FVE, the ends of regular edges.

That is a relative error of at most 2^-16, where pages print three digits.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from app.store.atlas.field_arrays import Arrays, StoredArrays

_FVE = ("fve_active.", "fve_all.")
_SHORT = ("promoted.logit", "suppressed.logit", "head_promoted.logit", "head_suppressed.logit", *_FVE)
_EDGES, _ENDS, _COUNTS = "logit_histogram.edges", "logit_histogram.ends", "logit_histogram.counts"


def shorter(features: Sequence[Arrays]) -> list[Arrays]:
    """The arrays of each feature's block in fewer bytes."""
    long = [array for arrays in features for name, array in arrays.items() if name.startswith(_SHORT)]
    short = iter(_rounded(long))
    stored = [
        {name: next(short) if name.startswith(_SHORT) else array for name, array in arrays.items()}
        for arrays in features
    ]
    for arrays, is_regular in zip(stored, _have_regular_edges(features), strict=True):
        if is_regular:
            arrays[_ENDS] = arrays.pop(_EDGES)[[0, -1]].astype(np.float64)
    return stored


def longer(arrays: StoredArrays) -> StoredArrays:
    """The arrays of a feature's record from those of its block."""
    found = StoredArrays(
        {name: array.astype(np.float64) if name.startswith(_FVE) else array for name, array in arrays.items()}
    )
    if _ENDS in found:
        found[_EDGES] = _between(found.pop(_ENDS), len(found[_COUNTS]) + 1)
    return found


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
