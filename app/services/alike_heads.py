"""Pairs of heads that write many of the same features: where comparing begins."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from app.domain.refs import FeatureRef, HeadRef
from app.services.compare_models import AlikeHeads

N_SHOWN = 15


def alike_heads(
    top: Mapping[HeadRef, Sequence[FeatureRef]], chosen: HeadRef | None = None
) -> tuple[AlikeHeads, ...]:
    """Pairs of heads of one layer with the most top features in common, of `chosen` alone where it is given.

    At most N_SHOWN, those with more in common first, then by place in the model; none that have nothing in common.
    """
    by_layer: dict[int, list[HeadRef]] = {}
    for head in sorted(top):
        by_layer.setdefault(head.layer, []).append(head)
    found = [
        AlikeHeads((first, second), len({*top[first]} & {*top[second]}))
        for heads in by_layer.values()
        for first, second in combinations(heads, 2)
        if chosen in (None, first, second)
    ]
    ranked = sorted(found, key=lambda pair: (-pair.n_shared, pair.heads))
    return tuple(pair for pair in ranked[:N_SHOWN] if pair.n_shared)
