"""One sentence about a head, put together from its numbers by rule: no model and no person wrote it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Literal

from app.domain.records import Ranking
from app.domain.refs import HeadRef
from app.services.examples.models import FeatureThroughHead
from app.services.heads.attention_models import AttentionEvidence
from app.services.reading.scores import TELLING_SCORES, ScoreRank

CLEAR_SCORE = 0.3  # of the attention on random tokens: a behaviour that a score names is said from here on
MUCH_BOS, NEARLY_ALL_BOS = 0.5, 0.9  # of the attention on text
MOST = 0.8  # of the listed features: from here on "the features" are said to share something
NEAR_ZERO_FVE = 0.02  # a head that explains no more of any of its listed features orders noise

FUZZY = "induction_fuzzy"
Agreement = Literal["both", "differ", "scores", "features", "neither"]

_SCORED = {
    "induction": "the token after an earlier copy of the current one",
    "previous_token": "the token before",
    "duplicate_token": "an earlier copy of the current token",
}


@dataclass(frozen=True)
class Behaviour:
    """A kind of evidence in words: its name, what features that show it do, and the score of the same behaviour."""

    name: str
    does: str
    score: str


# Of kinds that as many features show the first is named; fuzzy induction only where no other is shared.
_BEHAVIOURS = {
    "induction": Behaviour(
        "induction", "read the token after an earlier copy of the firing one", "induction"
    ),
    "same_token": Behaviour("same token", "read an earlier copy of the firing token", "duplicate_token"),
    "previous_token": Behaviour(
        "previous token", "read the token just before the firing one", "previous_token"
    ),
    "bos": Behaviour("BOS", "read BOS", "bos_attention"),
    "copying": Behaviour("copying", "read a token that they promote", "copying"),
    "induction_fuzzy": Behaviour(
        "fuzzy induction",
        "read the token after an earlier copy of the firing one, up to case and a leading space",
        "induction",
    ),
}
# From where on a score speaks for the behaviour that features share.
_ENOUGH = dict.fromkeys(TELLING_SCORES, CLEAR_SCORE) | {"bos_attention": MUCH_BOS, "copying": 0.5}


@dataclass(frozen=True)
class HeadSummary:
    """What a head attends to, what its features share, and whether these agree."""

    sentence: Annotated[str, "All of it in one sentence, put together by rule from the fields beside it"]
    pattern: Annotated[
        str | None,
        f"The largest of the scores {', '.join(TELLING_SCORES)}, if it is {CLEAR_SCORE} or more",
    ]
    shared: Annotated[
        str | None,
        "The evidence that half of the listed features or more show in half of their top examples or more",
    ]
    n_sharing: Annotated[
        int, "How many of the listed features show it, or the most frequent evidence, so often"
    ]
    agreement: Annotated[
        Agreement | None,
        "Which of them speak for a behaviour, and whether it is one; null for a head without features or near zero",
    ]
    near_zero: Annotated[
        bool,
        f"Whether the head explains {NEAR_ZERO_FVE} or less of the variance of each listed feature: their order by "
        "FVE is then noise",
    ]
    fve_beyond: Annotated[
        bool, "Whether an FVE of a listed feature is above 1 or below 0, as a covariance share may be"
    ]


def summarise_head(
    head: HeadRef,
    standings: Sequence[ScoreRank],
    rows: Sequence[FeatureThroughHead],
    rank: Ranking,
    attention: AttentionEvidence | None = None,
) -> HeadSummary:
    """The summary of a head from its scores and its listed features; of one without features, from its attention."""
    scores = {standing.name: standing for standing in standings}
    pattern = _largest_pattern(scores)
    clear = pattern if pattern and pattern.value >= CLEAR_SCORE else None
    counted = [row for row in rows if row.evidence_n]
    kind, n_sharing = _most_shown(counted)
    shared = kind if counted and 2 * n_sharing >= len(counted) else None
    near_zero = bool(rows) and largest_fve(head, rows) <= NEAR_ZERO_FVE
    agreement = None if near_zero or not counted else _agreement(scores, clear, shared)
    clauses = [_attends(scores, pattern), *(_reads(attention) if attention else ())]
    if near_zero:
        most = _decimal(largest_fve(head, rows), 3)
        of_any = f"it explains at most {most} of the variance of any of {_top(rows, rank)}"
        clauses.append(f"{of_any}: what they share is hardly its doing")
    elif agreement:
        clauses.append(_features(counted, kind, n_sharing, rank))
        clauses.append(_how_sure(agreement, scores, shared, n_sharing / len(counted)))
    return HeadSummary(
        sentence=f"{head} {'; '.join(clauses)}.",
        pattern=clear.name if clear else None,
        shared=shared,
        n_sharing=n_sharing,
        agreement=agreement,
        near_zero=near_zero,
        fve_beyond=any(not 0 <= (row.fve_by_head[head.head] or 0.0) <= 1 for row in rows),
    )


def largest_fve(head: HeadRef, rows: Sequence[FeatureThroughHead]) -> float:
    """The FVE of the head with the largest magnitude among its listed features."""
    return max((abs(row.fve_by_head[head.head] or 0.0) for row in rows), default=0.0)


def _largest_pattern(scores: Mapping[str, ScoreRank]) -> ScoreRank | None:
    telling = [scores[name] for name in TELLING_SCORES if name in scores]
    return max(telling, key=lambda standing: standing.value, default=None)


def _most_shown(rows: Sequence[FeatureThroughHead]) -> tuple[str | None, int]:
    """The kind of evidence that most features show in half or more of their examples, and their number."""
    counts = Counter(kind for row in rows for kind in _BEHAVIOURS if row.evidence.get(kind, 0.0) >= 0.5)
    exact = max((kind for kind in _BEHAVIOURS if kind != FUZZY), key=lambda kind: counts[kind])
    kind = FUZZY if 2 * counts[exact] < len(rows) and counts[FUZZY] > counts[exact] else exact
    return (kind, counts[kind]) if counts[kind] else (None, 0)


def _agreement(scores: Mapping[str, ScoreRank], clear: ScoreRank | None, shared: str | None) -> Agreement:
    if shared is None:
        return "scores" if clear else "neither"
    score = _BEHAVIOURS[shared].score
    if score in scores and scores[score].value >= _ENOUGH[score]:
        return "both"
    return "differ" if clear else "features"


def _attends(scores: Mapping[str, ScoreRank], pattern: ScoreRank | None) -> str:
    bos = scores["bos_attention"].value if "bos_attention" in scores else 0.0
    on_bos = f"gives BOS {_decimal(bos)} of its attention on text" if bos >= MUCH_BOS else None
    if bos >= NEARLY_ALL_BOS:
        on_bos = f"rests on BOS ({_decimal(bos)} of its attention on text)"
    on_random = None
    if pattern is not None and pattern.value >= CLEAR_SCORE:
        on_random = (
            f"attends to {_SCORED[pattern.name]} on repeated random tokens ({_decimal(pattern.value)} of its "
            f"attention, place {pattern.place} of {len(pattern.values)})"
        )
    elif pattern is not None:
        name = pattern.name.replace("_", " ")
        on_random = (
            f"follows no scored pattern on random tokens (most of all {name}, {_decimal(pattern.value)})"
        )
    return " and ".join(part for part in (on_random, on_bos) if part) or "has no scores of attention"


def _reads(attention: AttentionEvidence) -> Sequence[str]:
    """What the head attends to besides sinks, in two clauses at most."""
    clauses: list[str] = []
    cumulative = accumulate(part.share for part in attention.distances)
    reached = (part for part, total in zip(attention.distances, cumulative, strict=True) if total >= 0.5)
    if half := next(reached, None):
        back = (
            f"at most {half.upper} token{'s' if half.upper > 1 else ''} back"
            if half.upper
            else "to the token itself"
        )
        clauses.append(f"half of what is not on sinks ({_decimal(1 - attention.sink_share)}) goes {back}")
    if attention.read:
        most = attention.read[0]
        word = most.text.strip() or repr(most.text)[1:-1]
        rates = f"{_decimal(most.share, 3)} against {_decimal(most.base_rate, 3)}"
        clauses.append(f"furthest above its base rate it attends to “{word}” ({rates})")
    return clauses


def _top(rows: Sequence[FeatureThroughHead], rank: Ranking) -> str:
    return f"its top {len(rows)} features by {'decoder weight' if rank == 'decoder_weight' else 'FVE'}"


def _features(rows: Sequence[FeatureThroughHead], kind: str | None, n_sharing: int, rank: Ranking) -> str:
    top = _top(rows, rank)
    if kind is None:
        return f"none of {top} shows a counted behaviour in half of its strongest examples"
    if 2 * n_sharing < len(rows):
        name = _BEHAVIOURS[kind].name
        return f"{top} have no counted behaviour in common (the most frequent, {name}, is in {n_sharing})"
    n_examples = sum(row.evidence_n for row in rows)
    n_shown = sum(row.evidence_counts.get(kind, 0) for row in rows)
    how_many = "all" if n_sharing == len(rows) else f"{n_sharing} of"
    return f"{how_many} {top} {_BEHAVIOURS[kind].does} ({n_shown} of {n_examples} strongest examples)"


def _how_sure(
    agreement: Agreement, scores: Mapping[str, ScoreRank], shared: str | None, share_of_features: float
) -> str:
    if shared is None:
        return {
            "scores": "the score says so, and the features do not",
            "neither": "nothing that is counted here says what the head does",
        }[agreement]
    features = "the features" if share_of_features >= MOST else "part of the features"
    if agreement == "both":
        return "score and features agree" if features == "the features" else f"the score and {features} agree"
    name = _BEHAVIOURS[shared].score
    score = (
        f"the {name.replace('_', ' ')} score is {_decimal(scores[name].value)}"
        if name in scores
        else "no score does"
    )
    return f"{features} say{'s' if features.startswith('part') else ''} so, and {score}"


def _decimal(value: float, digits: int = 2) -> str:
    """A fraction as pages print it: .48."""
    return f"{value:.{digits}f}".replace("0.", ".", 1).replace("-", "\N{MINUS SIGN}")
