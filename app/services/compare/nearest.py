"""Heads with similar scores, across layers and without any SAE: a starting point for comparisons."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.domain.records import HeadRecord
from app.domain.refs import HeadRef
from app.services.compare.models import LeadingHead, NearestHead

N_NEAREST = 8


def nearest_heads(
    heads: Sequence[HeadRecord], chosen: HeadRef, n: int = N_NEAREST
) -> tuple[NearestHead, ...]:
    """The n heads whose scores are nearest to those of `chosen`, nearest first, then by layer and head.

    The distance is the root mean square difference over the scores that both heads have, in standard
    deviations over the model's heads. Scores with one value for all heads are ignored, and so are heads
    without a common score.
    """
    index = [head.ref for head in heads].index(chosen)
    return _nearest(heads, _scaled(_values(heads, _names(heads))), index)[:n]


def leading_heads(heads: Sequence[HeadRecord], names: Sequence[str]) -> tuple[LeadingHead, ...]:
    """The head with the highest value of each score, together with the head nearest to it."""
    scaled = _scaled(_values(heads, _names(heads)))
    leading: list[LeadingHead] = []
    for name, column in zip(names, _values(heads, names).T, strict=True):
        if np.isnan(column).all():
            continue
        index = int(np.nanargmax(column))
        nearest = _nearest(heads, scaled, index)[:1]
        leading += [LeadingHead(name, heads[index].ref, float(column[index]), near) for near in nearest]
    return tuple(leading)


def _nearest(heads: Sequence[HeadRecord], scaled: NDArray[np.float64], index: int) -> tuple[NearestHead, ...]:
    """The other heads that share a score with heads[index], nearest first. scaled: [head, score]."""
    squares = (scaled - scaled[index]) ** 2
    n_common = np.sum(~np.isnan(squares), axis=1)
    distances = np.sqrt(np.nansum(squares, axis=1) / np.maximum(n_common, 1))
    others = [
        NearestHead(head.ref, float(distance))
        for other, (head, distance) in enumerate(zip(heads, distances, strict=True))
        if n_common[other] and other != index
    ]
    return tuple(sorted(others, key=lambda near: (near.distance, near.head)))


def _names(heads: Sequence[HeadRecord]) -> list[str]:
    return sorted({name for head in heads for name in head.scores})


def _values(heads: Sequence[HeadRecord], names: Sequence[str]) -> NDArray[np.float64]:
    """The scores as [head, score], NaN where a head has no finite value."""
    values = np.array([[head.scores.get(name, np.nan) for name in names] for head in heads], dtype=np.float64)
    values = values.reshape(len(heads), len(names))
    return np.where(np.isfinite(values), values, np.nan)


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores as [head, score] in standard deviations over the heads; constant scores are left out."""
    columns = [column for column in values.T if np.unique(column[~np.isnan(column)]).size > 1]
    if not columns:
        return np.full((len(values), 0), np.nan)
    return np.stack([column / np.nanstd(column) for column in columns], axis=1)
