"""Published figures of GPT-2 small, each with a rule that says whether a measurement reproduces it."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.experiments.ablation import HeadAblationResult
from app.domain.experiments.intervals import Interval
from app.domain.experiments.known_heads import KnownHeadsResult
from app.domain.experiments.long_prefix import LongPrefixHead, LongPrefixResult
from app.domain.records import FeatureRecord, HeadRecord
from app.domain.refs import FeatureRef, HeadRef
from app.experiments.published import KNOWN_HEADS_GPT2_SMALL

# Source of every figure: Krzyzanowski et al. 2024, "We Inspected Every Head In GPT-2 Small using SAEs So You Don't
# Have To".
LARGEST_SHARE = (HeadRef(7, 9), FeatureRef(7, 29342), 0.49)
SHARE_TOLERANCE = 0.005  # two digits are printed
TWO_JOBS = HeadRef(10, 2)
LONG, STANDARD = HeadRef(5, 1), HeadRef(5, 5)
CORRUPTED = {
    LONG: (0.55, 0.05),
    STANDARD: (None, 0.45),
}  # attention before and after; only one before is printed
ATTENTION_TOLERANCE = 0.1
CORRELATED, NOT_CORRELATED = HeadRef(4, 5), HeadRef(8, 5)
MIN_CORRELATION, MIN_OVERLAP = 0.5, 6
ALL_INDUCTION = HeadRef(6, 9)
INDUCTION_SHARE = 0.5  # of its top examples, for a feature to count as an induction feature
SAE_LAYERS = (4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Anchor:
    """One figure: its published value, the measured value, and whether they agree."""

    name: str
    published: str
    measured: str
    agrees: bool


def largest_share(shares: Sequence[float]) -> Anchor:
    """Compare the largest decoder weight share of L7H9.

    shares: [d_sae], those of all features of the layer.
    """
    head, feature, value = LARGEST_SHARE
    best = max(range(len(shares)), key=lambda index: (shares[index], -index))
    return Anchor(
        f"largest decoder weight share of {head}",
        f"{value:.2f}, {feature}",
        f"{shares[best]:.2f}, {FeatureRef(feature.layer, best)}",
        best == feature.index and abs(shares[best] - value) <= SHARE_TOLERANCE,
    )


def two_jobs(result: HeadAblationResult) -> list[Anchor]:
    """Compare the zero ablation of layer 10: L10H2 has the largest change on both tasks."""
    anchors: list[Anchor] = []
    for task in result.tasks:
        zero = next(mode for mode in task.modes if mode.mode == "zero")
        ranked = sorted(zero.heads, key=lambda head: -head.change.mean)
        ours = next(head for head in zero.heads if head.head == TWO_JOBS)
        rank = ranked.index(ours) + 1
        anchors.append(
            Anchor(
                f"zero ablation of {TWO_JOBS}, {task.task}",
                "the largest change of layer 10",
                f"{_number(ours.change)} nats, place {rank}; {ranked[0].head} {_number(ranked[0].change)}",
                rank == 1 and ours.stands_out,
            )
        )
    return anchors


def long_and_standard(result: LongPrefixResult) -> list[Anchor]:
    """Compare L5H1, which needs two matching tokens, with L5H5, which needs one, on every measure."""
    by_ref = {head.head: head for head in result.heads}
    ours, theirs = by_ref[LONG], by_ref[STANDARD]
    our_share, their_share = ours.verdict.one_share, theirs.verdict.one_share
    first, last = ours.logit_by_prefix[1], ours.logit_by_prefix[-1]
    low, high = theirs.logit_by_prefix[1], theirs.logit_by_prefix[-1]
    anchors = [
        Anchor(
            "attention gained at one token, of that gained at two or more",
            f"{LONG} jumps at two, {STANDARD} has most at one",
            f"{LONG} {_number(our_share)}, {STANDARD} {_number(their_share)}",
            our_share.upper < their_share.lower,
        ),
        Anchor(
            "logit of the correct token, one token to the longest prefix",
            f"{LONG} rises, {STANDARD} about constant",
            f"{LONG} {first.mean:.2f} to {last.mean:.2f}, {STANDARD} {low.mean:.2f} to {high.mean:.2f}",
            last.lower > first.upper and last.mean - first.mean > 2 * abs(high.mean - low.mean),
        ),
        _natural(result, ours, theirs),
    ]
    anchors += [_corrupted(head) for head in (ours, theirs)]
    for head, kind in ((ours, "long-prefix"), (theirs, "standard")):
        verdict = head.verdict
        anchors.append(
            Anchor(f"verdict on {head.head}", kind, f"{verdict.kind}: {verdict.reason}", verdict.kind == kind)
        )
    return anchors


def _natural(result: LongPrefixResult, ours: LongPrefixHead, theirs: LongPrefixHead) -> Anchor:
    index = result.parameters.sweep.index(result.parameters.threshold)
    shares = [head.natural[index].long_share for head in (ours, theirs)]
    measured = [f"{head} {_number(share)}" for head, share in zip((LONG, STANDARD), shares, strict=True)]
    return Anchor(
        "share of prefixes of two or more among induction in natural text",
        f"most of {LONG}'s, less than half of {STANDARD}'s",
        ", ".join(measured),
        all(shares) and _mean(shares[0]) > 0.5 > _mean(shares[1]),
    )


def _corrupted(head: LongPrefixHead) -> Anchor:
    before, after = CORRUPTED[head.head]
    measured = (head.verdict.before, head.verdict.after)
    close = all(
        published is None or (value is not None and abs(value.mean - published) <= ATTENTION_TOLERANCE)
        for published, value in zip((before, after), measured, strict=True)
    )
    return Anchor(
        f"attention of {head.head} cut to a prefix of one",
        f"{'' if before is None else f'about {before} '}to about {after}",
        f"{_number(measured[0])} to {_number(measured[1])}",
        close,
    )


def rankings(heads: Sequence[HeadRecord]) -> list[Anchor]:
    """Compare the agreement of decoder weight and FVE: high for L4H5, low among the top features of L8H5."""
    anchors: list[Anchor] = []
    for ref, alike in ((CORRELATED, True), (NOT_CORRELATED, False)):
        record = next(head for head in heads if head.ref == ref)
        rho, overlap = record.rank_correlation, record.top_overlap
        has_both = rho is not None and overlap is not None
        is_alike = (
            rho is not None and overlap is not None and rho >= MIN_CORRELATION and overlap >= MIN_OVERLAP
        )
        anchors.append(
            Anchor(
                f"decoder weight against FVE for {ref}",
                "correlated, order roughly kept" if alike else "weakly correlated for the top features",
                f"rho {rho:.2f}, {overlap} of the top ten in both" if has_both else "not known",
                has_both and is_alike == alike,
            )
        )
    return anchors


def induction_features(features: Sequence[FeatureRecord]) -> Anchor:
    """Compare how many of the top ten features of L6H9 by decoder weight are induction features."""
    shares = [
        float(feature.evidence.counts["induction"][ALL_INDUCTION.head]) / max(feature.evidence.n_examples, 1)
        for feature in features
    ]
    n = sum(share >= INDUCTION_SHARE for share in shares)
    return Anchor(
        f"induction features among the top ten of {ALL_INDUCTION}",
        "10 of 10",
        f"{n} of {len(features)}",
        n == len(features) == 10,
    )


def known_list(result: KnownHeadsResult) -> list[Anchor]:
    """Compare the published list of known heads with the detectors."""
    detected = result.detected()
    anchors: list[Anchor] = []
    for role, heads in KNOWN_HEADS_GPT2_SMALL.items():
        scores = {head.head: head.scores[role] for head in result.heads}
        head_scores = [f"{head} {scores[head]:.2f}" for head in sorted(heads)]
        threshold = result.parameters.thresholds[role]
        anchors.append(
            Anchor(
                f"known heads: {role.replace('_', ' ')}",
                ", ".join(map(str, sorted(heads))),
                f"{', '.join(head_scores)}; threshold {threshold:g}",
                heads <= detected[role],
            )
        )
    return anchors


def _mean(interval: Interval | None) -> float:
    return float("nan") if interval is None else interval.mean


def _number(interval: Interval | None) -> str:
    if interval is None:
        return "not known"
    return f"{interval.mean:.2f} [{interval.lower:.2f}, {interval.upper:.2f}]"


def table(anchors: Sequence[Anchor]) -> str:
    """A table of measured and published figures, one per line, and how many agree."""
    rows = [("figure", "published", "measured", "")]
    rows += [(a.name, a.published, a.measured, "agrees" if a.agrees else "differs") for a in anchors]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip()
        for row in rows
    ]
    n = sum(anchor.agrees for anchor in anchors)
    return "\n".join([*lines, f"{n} of {len(anchors)} figures agree"])
