"""Agreement of annotators: Krippendorff's alpha of head types and overlap of roles, with intervals."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

import krippendorff
import numpy as np
from numpy.typing import NDArray

from app.domain.annotations.head_types import HEAD_TYPES, HeadType
from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef

N_RESAMPLES = 1000
INTERVAL = (2.5, 97.5)
ByAnnotator = Mapping[str, Mapping[HeadRef, HeadAnnotation]]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% bootstrap interval over heads."""

    value: Annotated[float | None, "The number; null where it is undefined"]
    low: Annotated[float | None, "Lower end of the interval; null where there are too few heads"]
    high: Annotated[float | None, "Upper end"]
    n_heads: Annotated[int, "Heads that it is taken over"]
    reason: Annotated[str, "Why it is undefined, else empty"] = ""


@dataclass(frozen=True)
class TypePair:
    """How often two annotators gave these two types to one head, in either order."""

    first: Annotated[HeadType, "One type"]
    second: Annotated[HeadType, "The other, which may be the same"]
    n_pairs: Annotated[int, "How many pairs of records have them"]


@dataclass(frozen=True)
class Opinion:
    annotator: Annotated[str, "Who"]
    head_type: Annotated[HeadType | None, "The type, where it is not provisional; null where there is none"]
    roles: Annotated[tuple[str, ...], "The roles"]


@dataclass(frozen=True)
class Disagreement:
    """A head to which its annotators gave different types, or no role in common."""

    head: Annotated[HeadRef, "The head"]
    opinions: Annotated[tuple[Opinion, ...], "What each annotator says, by name"]
    role_overlap: Annotated[float | None, "Mean share of roles in common; null where nobody gave any"]


@dataclass(frozen=True)
class Agreement:
    """Agreement of all annotators, over the heads that at least two of them gave a type or roles."""

    annotators: Annotated[tuple[str, ...], "Whose records are compared"]
    head_type: Annotated[Estimate, "Krippendorff's alpha of settled head types, nominal"]
    roles: Annotated[
        Estimate,
        "Mean over heads, and in a head over pairs of annotators, of shared roles divided by all of their roles",
    ]
    confusion: Annotated[tuple[TypePair, ...], "How often each pair of types was given to one head"]
    disagreements: Annotated[
        tuple[Disagreement, ...], "Heads on which annotators disagree, by layer and index"
    ]


def agreement(by_annotator: ByAnnotator, seed: int = 0, n_resamples: int = N_RESAMPLES) -> Agreement:
    """The agreement of these annotators over their records, with bootstrap intervals over heads.

    Provisional types count as missing. The same seed gives the same intervals; n_resamples=0 gives none.
    Source of alpha: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability.
    """
    heads = sorted({head for records in by_annotator.values() for head in records})
    counts = np.array([_type_counts(by_annotator, head) for head in heads], np.int64)
    counts = counts.reshape(len(heads), len(HEAD_TYPES))
    counts = counts[counts.sum(1) >= 2]
    overlaps = [overlap for head in heads if (overlap := _role_overlap(by_annotator, head)) is not None]
    return Agreement(
        annotators=tuple(sorted(by_annotator)),
        head_type=_estimate_alpha(counts, seed, n_resamples),
        roles=_estimate_overlap(np.array(overlaps, np.float64), seed, n_resamples),
        confusion=_confusion(by_annotator, heads),
        disagreements=tuple(
            disagreement for head in heads if (disagreement := _disagreement(by_annotator, head))
        ),
    )


def final_type(annotation: HeadAnnotation | None) -> HeadType | None:
    """The head type; None while features without a label could still change it."""
    return None if annotation is None or annotation.provisional else annotation.head_type


def _type_counts(by_annotator: ByAnnotator, head: HeadRef) -> list[int]:
    types = [final_type(records.get(head)) for records in by_annotator.values()]
    return [types.count(name) for name in HEAD_TYPES]


def nominal_alpha(counts: NDArray[np.int64]) -> float | None:
    """Krippendorff's alpha for nominal data, from counts as [unit, value].

    None if alpha is undefined: no unit has two values, or every value is the same.
    """
    paired = counts[counts.sum(1) >= 2]
    if len(paired) == 0 or np.count_nonzero(paired.sum(0)) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        alpha = float(krippendorff.alpha(value_counts=paired, level_of_measurement="nominal"))
    return alpha if np.isfinite(alpha) else None


def _estimate_alpha(counts: NDArray[np.int64], seed: int, n_resamples: int) -> Estimate:
    if len(counts) == 0:
        return Estimate(None, None, None, 0, "no head has a settled type from two annotators")
    alpha = nominal_alpha(counts)
    if alpha is None:
        return Estimate(
            None, None, None, len(counts), "every type given is the same, so chance agreement is total"
        )
    low, high = _interval(len(counts), lambda rows: nominal_alpha(counts[rows]), seed, n_resamples)
    return Estimate(alpha, low, high, len(counts))


def _estimate_overlap(overlaps: NDArray[np.float64], seed: int, n_resamples: int) -> Estimate:
    if len(overlaps) == 0:
        return Estimate(None, None, None, 0, "no head has roles and two annotators")
    low, high = _interval(len(overlaps), lambda rows: float(overlaps[rows].mean()), seed, n_resamples)
    return Estimate(float(overlaps.mean()), low, high, len(overlaps))


def _interval(
    n: int, statistic: Callable[[NDArray[np.int64]], float | None], seed: int, n_resamples: int
) -> tuple[float | None, float | None]:
    """The 95% percentile bootstrap interval over heads.

    Resamples without a defined value are left out; None if they are more than half.
    """
    if n < 2 or n_resamples < 1:
        return None, None
    rng = np.random.default_rng(seed)
    drawn = (statistic(rng.integers(0, n, n)) for _ in range(n_resamples))
    values = [value for value in drawn if value is not None]
    if 2 * len(values) < n_resamples:
        return None, None
    low, high = np.percentile(values, INTERVAL)
    return float(low), float(high)


def jaccard(left: set[str], right: set[str]) -> float | None:
    """Shared roles divided by all roles of both sides; None if neither side has any."""
    return len(left & right) / len(left | right) if left | right else None


def _role_overlap(by_annotator: ByAnnotator, head: HeadRef) -> float | None:
    """The mean overlap of roles over all pairs of annotators of the head; None if no pair has roles."""
    roles = [set(records[head].roles) for records in by_annotator.values() if head in records]
    shared = [jaccard(left, right) for left, right in combinations(roles, 2)]
    overlaps = [value for value in shared if value is not None]
    return sum(overlaps) / len(overlaps) if overlaps else None


def _confusion(by_annotator: ByAnnotator, heads: list[HeadRef]) -> tuple[TypePair, ...]:
    counts: dict[tuple[int, int], int] = {}
    for head in heads:
        types = [t for records in by_annotator.values() if (t := final_type(records.get(head)))]
        for left, right in combinations(sorted(map(HEAD_TYPES.index, types)), 2):
            counts[left, right] = counts.get((left, right), 0) + 1
    return tuple(
        TypePair(HEAD_TYPES[left], HEAD_TYPES[right], n) for (left, right), n in sorted(counts.items())
    )


def _disagreement(by_annotator: ByAnnotator, head: HeadRef) -> Disagreement | None:
    by_name = {name: records[head] for name, records in sorted(by_annotator.items()) if head in records}
    opinions = tuple(
        Opinion(name, final_type(annotation), annotation.roles) for name, annotation in by_name.items()
    )
    overlap = _role_overlap(by_annotator, head)
    if len({opinion.head_type for opinion in opinions if opinion.head_type}) < 2 and overlap != 0:
        return None
    return Disagreement(head, opinions, overlap)
