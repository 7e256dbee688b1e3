"""Numbers of a feature as blocks keep them: 16 significant bits of logits and FVE, the ends of regular edges.

That is a relative error of at most 2^-16, where pages print three digits.
"""

import numpy as np
from numpy.typing import NDArray

from app.store.atlas.field_arrays import Arrays, StoredArrays

_FVE = ("fve_active.", "fve_all.")
_SHORT = ("promoted.logit", "suppressed.logit", "head_promoted.logit", "head_suppressed.logit", *_FVE)
_EDGES, _ENDS, _COUNTS = "logit_histogram.edges", "logit_histogram.ends", "logit_histogram.counts"


def shorter(arrays: Arrays) -> Arrays:
    """The arrays of a feature's block in fewer bytes."""
    found = {name: _rounded(array) if name.startswith(_SHORT) else array for name, array in arrays.items()}
    edges = arrays[_EDGES].astype(np.float64)
    ends = edges[[0, -1]]
    if np.allclose(edges, _between(ends, len(edges)), rtol=0, atol=1e-12 * np.ptp(ends)):
        del found[_EDGES]
        found[_ENDS] = ends
    return found


def longer(arrays: StoredArrays) -> StoredArrays:
    """The arrays of a feature's record from those of its block."""
    found = StoredArrays(
        {name: array.astype(np.float64) if name.startswith(_FVE) else array for name, array in arrays.items()}
    )
    if _ENDS in found:
        found[_EDGES] = _between(found.pop(_ENDS), len(found[_COUNTS]) + 1)
    return found


def _between(ends: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.linspace(float(ends[0]), float(ends[1]), n)


def _rounded(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """The values with the last byte of their float32 0, rounded to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.int64)
    rounded = (bits + 0x7F + (bits >> 8 & 1) & 0xFFFFFF00).astype(np.uint32)
    return rounded.view(np.float32)
