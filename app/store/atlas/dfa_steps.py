"""DFA of examples as whole numbers of small steps, which take a third of the bytes that floats of them do.

Of each example a step is 2^-11 of a power of two above its largest value, and for a head whose first source has less at
most 2^-7 of one above that; contributions and rests are in 32nds of it. A rest is stored as what it misses of
contribution less kept sources, so that it sums with these to what the run found, to half a 32nd of a step.
Sources but the first are stored by position, the latest first, as distances.
"""

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidStore
from app.store.atlas.field_arrays import Arrays, StoredArrays

_STEP_BITS, _HEAD_BITS, _FINE_BITS = 11, 7, 5
_MOST_FINER, _MOST_BITS = 15, 14
_LEAST_EXPONENT = -80  # float32 holds the smallest step exactly
_MOST_STEPS = 2**30
_REPLACED = ("dfa", "dfa_rest", "head_contribution", "source")
_OF_SUM = ("summed.dfa", "summed.rest", "summed.source")
_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


def to_steps(arrays: Arrays) -> Arrays:
    """The arrays of examples with DFA as steps; as they are where steps cannot give them back."""
    has_sum = "summed.dfa" in arrays
    dfa, source = arrays["dfa"].astype(np.float64), arrays["source"].astype(np.int64)
    contribution = arrays["head_contribution"].astype(np.float64)
    total = dfa.sum(-1) + arrays["dfa_rest"]
    if has_sum:
        dfa = np.concatenate([dfa, arrays["summed.dfa"][:, None]], axis=1)
        source = np.concatenate([source, arrays["summed.source"][:, None]], axis=1)
        total = np.concatenate([total, dfa[:, -1:].sum(-1) + arrays["summed.rest"][:, None]], axis=1)
    exponent, finer = _exponents(dfa, contribution)
    position = arrays["position"].astype(np.int64)
    if not _is_regular(dfa, source, position) or (exponent < _LEAST_EXPONENT).any():
        return arrays
    step = _step(exponent, finer)
    steps = _rounded_with_their_sum(dfa / step[..., None])
    fine = step / 2**_FINE_BITS
    contributions = np.rint(contribution / fine[:, : contribution.shape[1]]).astype(np.int64)
    missed = _base(contributions, fine) - np.rint(total / fine).astype(np.int64)
    if max(np.abs(contributions).max(initial=0), np.abs(missed).max(initial=0)) >= _MOST_STEPS:
        return arrays
    order = np.argsort(-source[..., 1:], axis=-1, kind="stable")
    source[..., 1:] = np.take_along_axis(source[..., 1:], order, axis=-1)
    steps[..., 1:] = np.take_along_axis(steps[..., 1:], order, axis=-1)
    back = _back(source, position)
    return {
        **{name: array for name, array in arrays.items() if name not in _REPLACED + _OF_SUM},
        "contribution.steps": _zigzag(contributions).astype(np.uint32),
        "dfa.exponent": exponent.astype(np.int16),
        "dfa.finer": finer.astype(np.uint8),
        "dfa.steps": _zigzag(steps).astype(np.uint16),
        "rest.missed": _zigzag(missed).astype(np.uint32),
        "source.back": back.astype(np.uint8 if back.max(initial=0) < 2**8 else np.uint16),
    }


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


def _rounded_with_their_sum(values: _Floats) -> _Ints:
    """Whole numbers near the values, whose sum is the nearest to theirs: those furthest off are rounded the other way.

    So the rest, which makes up for the difference, changes by half a step at most.
    """
    steps = np.rint(values)
    short = values - steps
    missing = np.rint(short.sum(-1, keepdims=True))
    place = np.argsort(np.argsort(-np.sign(missing) * short, axis=-1, kind="stable"), axis=-1)
    return (steps + np.where(place < np.abs(missing), np.sign(missing), 0)).astype(np.int64)


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


def _is_regular(dfa: _Floats, source: _Ints, position: _Ints) -> bool:
    """Whether sources are as `keep_sources` makes them: up to the position, and each once."""
    others = np.sort(source[..., 1:], axis=-1)
    repeated = (np.diff(others, axis=-1) == 0) & (others[..., 1:] >= 0)
    in_range = (source <= position[:, None, None]) & (source >= -1)
    return bool(in_range.all() and not repeated.any() and not dfa[source < 0].any())


def _back(source: _Ints, position: _Ints) -> _Ints:
    """How far back each source is, from 1: the first two of the position, others of the one before; 0 for none."""
    after = position[:, None, None] + 1
    before = np.concatenate([np.broadcast_to(after, source[..., :2].shape), source[..., 1:-1]], axis=-1)
    return np.where(source < 0, 0, before - source)


def _sources(back: NDArray[np.integer], position: NDArray[np.integer]) -> NDArray[np.int16]:
    source = back.astype(np.int16)
    for slot in range(2, source.shape[-1]):
        source[..., slot] += source[..., slot - 1]
    source *= -1
    source += (position[:, None, None] + 1).astype(np.int16)
    source[back == 0] = -1
    return source


def _zigzag(values: _Ints) -> _Ints:
    """Whole numbers of either sign as such that are not negative, small ones small."""
    return (values << 1) ^ (values >> 63)


def _unzigzag(values: NDArray[np.unsignedinteger]) -> NDArray[np.signedinteger]:
    signed = values.astype(np.int32 if values.dtype.itemsize == 2 else np.int64)
    return (signed >> 1) ^ -(signed & 1)
