"""DFA of examples as whole numbers of small steps, which take a third of the bytes that floats of them do.

Of each example a step is 2^-11 of a power of two above its largest value, and for a head whose first source has less at
most 2^-7 of one above that; contributions and rests are in 32nds of it. A rest is stored as what it misses of
contribution less kept sources, so that it sums with these to what the run found, to half a 32nd of a step.
Sources but the first are stored by position, the latest first, as distances.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidStore
from app.store.atlas.field_arrays import Arrays, StoredArrays

_STEP_BITS, _HEAD_BITS, _FINE_BITS = 11, 7, 5
_MOST_FINER, _MOST_BITS = 15, 14
_LEAST_EXPONENT = -80  # float32 holds the smallest step exactly
_MOST_STEPS = 2**30
_REPLACED = ("dfa", "dfa_rest", "head_contribution", "source", "summed.dfa", "summed.rest", "summed.source")
_OF_DFA = (*_REPLACED, "position")
_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


def to_steps(features: Sequence[Arrays]) -> list[Arrays]:
    """The arrays of each feature's examples with DFA as steps; as they are where steps cannot give them back.

    Examples of one shape are computed together, whosever they are.
    """
    stored = list(features)
    places: dict[object, list[int]] = {}
    for place, arrays in enumerate(features):
        shapes = tuple((name, arrays[name].shape[1:]) for name in _OF_DFA if name in arrays)
        places.setdefault(shapes, []).append(place)
    for alike in places.values():
        replaced, is_regular = _steps_of_examples([features[place] for place in alike])
        ends = accumulate((len(features[place]["position"]) for place in alike), initial=0)
        for place, (start, end) in zip(alike, pairwise(ends), strict=True):
            if is_regular[start:end].all():
                others = {name: array for name, array in features[place].items() if name not in _REPLACED}
                stored[place] = others | {name: array[start:end] for name, array in replaced.items()}
                back = stored[place]["source.back"]
                stored[place]["source.back"] = back.astype(np.uint8) if back.max(initial=0) < 2**8 else back
    return stored


def _steps_of_examples(features: Sequence[Arrays]) -> tuple[Arrays, NDArray[np.bool_]]:
    """What replaces the DFA of all examples of the features, and for which of them it gives the DFA back."""
    names = [name for name in _OF_DFA if name in features[0]]
    joined = {name: np.concatenate([arrays[name] for arrays in features]) for name in names}
    dfa, source, total = _with_sum(joined)
    contribution, position = (
        joined["head_contribution"].astype(np.float64),
        joined["position"].astype(np.int32),
    )
    exponent, finer = _exponents(dfa, contribution)
    step = _step(exponent, finer)
    steps = _rounded_with_their_sum(dfa / step[..., None])
    fine = step / 2**_FINE_BITS
    contributions = np.rint(contribution / fine[:, : contribution.shape[1]]).astype(np.int64)
    missed = _base(contributions, fine) - np.rint(total / fine).astype(np.int64)
    is_odd = (source < 0) & (dfa != 0)
    _sort_by_source(source[..., 1:], steps[..., 1:])
    is_odd |= _are_odd(source, position)
    is_regular = (exponent >= _LEAST_EXPONENT) & ~is_odd.any((1, 2))
    is_regular &= (np.abs(contributions) < _MOST_STEPS).all(1) & (np.abs(missed) < _MOST_STEPS).all(1)
    return {
        "contribution.steps": _zigzag(contributions).astype(np.uint32),
        "dfa.exponent": exponent.astype(np.int16),
        "dfa.finer": finer.astype(np.uint8),
        "dfa.steps": _zigzag(steps).astype(np.uint16),
        "rest.missed": _zigzag(missed).astype(np.uint32),
        "source.back": _back(source, position).astype(np.uint16),
    }, is_regular


def _with_sum(arrays: Arrays) -> tuple[_Floats, NDArray[np.int32], _Floats]:
    """DFA, its sources and the sum over all sources, of each head and, if there is one, of the sum over heads."""
    dfa, source, rest = [arrays["dfa"]], [arrays["source"]], [arrays["dfa_rest"]]
    if "summed.dfa" in arrays:
        dfa.append(arrays["summed.dfa"][:, None])
        source.append(arrays["summed.source"][:, None])
        rest.append(arrays["summed.rest"][:, None])
    joined = np.concatenate(dfa, axis=1, dtype=np.float64)
    total = joined.sum(-1) + np.concatenate(rest, axis=1)
    return joined, np.concatenate(source, axis=1, dtype=np.int32), total


def from_steps(arrays: StoredArrays) -> StoredArrays:
    """The arrays that `to_steps` was given, to the stated rounding. Raises InvalidStore if they do not fit."""
    if "dfa.steps" not in arrays:
        return arrays
    try:
        return StoredArrays(arrays | _from_steps(arrays))
    except (ValueError, IndexError) as error:
        raise InvalidStore("a stored block is damaged: its arrays do not fit together") from error


def _from_steps(arrays: StoredArrays) -> Arrays:
    step = _step(arrays["dfa.exponent"].astype(np.int64), arrays["dfa.finer"])
    steps, contributions = _unzigzag(arrays["dfa.steps"]), _unzigzag(arrays["contribution.steps"])
    source = _sources(arrays["source.back"], arrays["position"])
    fine, n_heads = step / 2**_FINE_BITS, contributions.shape[1]
    totals = _base(contributions, fine) - _unzigzag(arrays["rest.missed"])
    dfa = steps.astype(np.float32) * step[..., None].astype(np.float32)
    rest = ((totals - steps.sum(-1) * 2**_FINE_BITS) * fine).astype(np.float32)
    found: Arrays = {
        "dfa": dfa[:, :n_heads],
        "dfa_rest": rest[:, :n_heads],
        "head_contribution": (contributions * fine[:, :n_heads]).astype(np.float32),
        "source": source[:, :n_heads],
    }
    if steps.shape[1] > n_heads:
        found |= {"summed.dfa": dfa[:, -1], "summed.rest": rest[:, -1], "summed.source": source[:, -1]}
    return found


def _rounded_with_their_sum(values: _Floats) -> NDArray[np.int32]:
    """Whole numbers near the values, whose sum is the nearest to theirs: those furthest off are rounded the other way.

    So the rest, which makes up for the difference, changes by half a step at most.
    """
    rounded = np.rint(values)
    short = values - rounded
    missing = np.rint(short.sum(-1)).ravel()
    steps = rounded.astype(np.int32).reshape(-1, values.shape[-1])
    (at,) = np.nonzero(missing)
    sign = np.sign(missing[at, None])
    places = _places(-sign * short.reshape(steps.shape)[at])
    steps[at] += np.where(places < np.abs(missing[at, None]), sign, 0).astype(np.int32)
    return steps.reshape(values.shape)


def _places(values: _Floats) -> NDArray[np.int8]:
    """The place of each value in the order of its row, from 0; of equals the first comes first.

    By comparing columns, which takes a fraction of the time that sorting short rows does.
    """
    columns = np.ascontiguousarray(values.T)
    places = np.zeros(columns.shape, np.int8)
    for later in range(1, len(columns)):
        is_less = columns[later] < columns[:later]
        places[:later] += is_less
        places[later] = later - is_less.sum(0, dtype=np.int8)
    return places.T


def _sort_by_source(source: NDArray[np.int32], steps: NDArray[np.int32]) -> None:
    """Sort sources and their steps, of 16 bits each, by position, the latest first.

    As one number, which takes less time than sorting by another array: slots of one source must have the same steps.
    """
    together = np.sort((~source << 16) | (steps + 2**15), axis=-1)
    source[...] = ~(together >> 16)
    steps[...] = (together & 2**16 - 1) - 2**15


def _exponents(dfa: _Floats, contribution: _Floats) -> tuple[_Ints, _Ints]:
    """The power of two above each example's values, and how many times its step is halved for each head.

    That is by the head's first source, as far as 16 bits hold the others; where the first has none, as often as these
    allow, since it may have been rounded to none.
    """
    of_head, first = np.abs(dfa).max(-1, initial=0), np.abs(dfa[..., 0])
    largest = np.maximum(of_head.max(-1, initial=0), np.abs(contribution).max(-1, initial=0))
    exponent = _power_above(largest)
    behind, least = (exponent[:, None] - _power_above(values) for values in (first, of_head))
    finer = np.where(first > 0, behind - (_STEP_BITS - _HEAD_BITS), _MOST_FINER)
    most = np.where(of_head > 0, least + (_MOST_BITS - _STEP_BITS), _MOST_FINER)
    return exponent, finer.clip(0, np.minimum(most, _MOST_FINER))


def _power_above(values: _Floats) -> _Ints:
    """The least power of two that is not below each value, so that what was rounded up to one keeps its steps."""
    part, power = np.frexp(values)
    return power.astype(np.int64) - (part == 0.5)


def _step(exponent: _Ints, finer: NDArray[np.integer]) -> _Floats:
    return np.ldexp(1.0, (exponent[:, None] - _STEP_BITS - finer.astype(np.int64)).astype(np.int32))


def _base(contributions: _Ints, fine: _Floats) -> _Ints:
    """What the DFA of each head, and of their sum if there is one, should sum to: the contributions."""
    n_heads = contributions.shape[1]
    if fine.shape[1] == n_heads:
        return contributions
    summed = (contributions * fine[:, :n_heads]).sum(1, keepdims=True) / fine[:, n_heads:]
    return np.concatenate([contributions, np.rint(summed).astype(np.int64)], axis=1)


def _are_odd(source: NDArray[np.int32], position: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which of the sorted sources are not as `keep_sources` makes them: up to the position, and each once."""
    is_odd = (source > position[:, None, None]) | (source < -1)
    is_odd[..., 2:] |= (source[..., 2:] == source[..., 1:-1]) & (source[..., 2:] >= 0)
    return is_odd


def _back(source: NDArray[np.int32], position: NDArray[np.int32]) -> NDArray[np.int32]:
    """How far back each source is, from 1: the first two of the position, others of the one before; 0 for none."""
    back = position[:, None, None] + 1 - source
    back[..., 2:] = source[..., 1:-1] - source[..., 2:]
    back[source < 0] = 0
    return back


def _sources(back: NDArray[np.integer], position: NDArray[np.integer]) -> NDArray[np.int16]:
    source = back.astype(np.int16)
    for slot in range(2, source.shape[-1]):
        source[..., slot] += source[..., slot - 1]
    source *= -1
    source += (position[:, None, None] + 1).astype(np.int16)
    source[back == 0] = -1
    return source


def _zigzag(values: NDArray[np.signedinteger]) -> NDArray[np.signedinteger]:
    """Whole numbers of either sign as such that are not negative, small ones small."""
    return (values << 1) ^ (values >> values.itemsize * 8 - 1)


def _unzigzag(values: NDArray[np.unsignedinteger]) -> NDArray[np.signedinteger]:
    signed = values.astype(np.int32 if values.dtype.itemsize == 2 else np.int64)
    return (signed >> 1) ^ -(signed & 1)
