"""Heads whose scores are nearest to each other: where comparing begins, across layers and without any SAE."""

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
    """The n heads whose scores are nearest to those of `chosen`, nearest first, then by place in the model.

    A distance is the root mean square over the scores that both heads have, each in standard deviations over the
    model's heads; scores that are equal for all do not count, nor heads with no score in common.
    """
    index = [head.ref for head in heads].index(chosen)
    return _nearest(heads, _scaled(_values(heads, _names(heads))), index)[:n]


def leading_heads(heads: Sequence[HeadRecord], names: Sequence[str]) -> tuple[LeadingHead, ...]:
    """For each of the scores the head with the highest value, and the head that is nearest to that one."""
    scaled = _scaled(_values(heads, _names(heads)))
    found: list[LeadingHead] = []
    for name, column in zip(names, _values(heads, names).T, strict=True):
        if np.isnan(column).all():
            continue
        index = int(np.nanargmax(column))
        nearest = _nearest(heads, scaled, index)[:1]
        found += [LeadingHead(name, heads[index].ref, float(column[index]), near) for near in nearest]
    return tuple(found)


def _nearest(heads: Sequence[HeadRecord], scaled: NDArray[np.float64], index: int) -> tuple[NearestHead, ...]:
    """Every other head with a score in common with heads[index], nearest first; scaled: [head, score]."""
    squares = (scaled - scaled[index]) ** 2
    n_common = np.sum(~np.isnan(squares), axis=1)
    distances = np.sqrt(np.nansum(squares, axis=1) / np.maximum(n_common, 1))
    found = [
        NearestHead(head.ref, float(distance))
        for other, (head, distance) in enumerate(zip(heads, distances, strict=True))
        if n_common[other] and other != index
    ]
    return tuple(sorted(found, key=lambda near: (near.distance, near.head)))


def _names(heads: Sequence[HeadRecord]) -> list[str]:
    return sorted({name for head in heads for name in head.scores})


def _values(heads: Sequence[HeadRecord], names: Sequence[str]) -> NDArray[np.float64]:
    """[head, score], NaN where a head has no finite value."""
    values = np.array([[head.scores.get(name, np.nan) for name in names] for head in heads], dtype=np.float64)
    values = values.reshape(len(heads), len(names))
    return np.where(np.isfinite(values), values, np.nan)


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[head, score] in standard deviations over the heads; only scores that differ between heads."""
    columns = [column for column in values.T if np.unique(column[~np.isnan(column)]).size > 1]
    if not columns:
        return np.full((len(values), 0), np.nan)
    return np.stack([column / np.nanstd(column) for column in columns], axis=1)
