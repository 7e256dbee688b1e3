"""How often induction prefixes are long by chance, in an atlas's texts and through a layer's other heads."""

from collections.abc import Mapping, Sequence

from app.domain.evidence import LONG_PREFIX, long_prefix_share
from app.domain.records import Evidence, FeatureRecord, Ranking
from app.domain.refs import FeatureRef, HeadRef
from app.services.annotations.hints import MIN_EXAMPLES, MIN_SHARE
from app.services.examples.models import FeatureThroughHead
from app.services.reading.context import AtlasContext
from app.store.atlas.features import stored_evidence, stored_features
from app.store.atlas.rankings import get_all_rankings
from app.store.atlas.reads import get_sequences

MIN_SOURCES = 20  # of other heads, for their share to say anything
# Of attention on random tokens that are repeated, where nearly every prefix is long: a head that looks for long
# prefixes looks there. Chosen on the demo: L18H7 and L20H6 have .60 and .43, L6H0, of which all would be long, .01.
MIN_ATTENTION = 0.1
NOTHING_EXCEEDS = 1.0


def usual_long_share(
    context: AtlasContext, head: HeadRef, rank: Ranking, features: Sequence[FeatureThroughHead]
) -> float:
    """The share of prefixes that are long by chance, which a head must exceed to count as a long-prefix head.

    It is the largest of three shares: that of all repeated tokens in the texts of the features' top examples, that of
    what the layer's other heads read in the same examples, and that of what they read in the top examples of their own
    induction features. It is 1 if the head's induction score is below MIN_ATTENTION.
    """
    if not _attends_to_copies(context, head):
        return NOTHING_EXCEEDS
    examples = [example for row in features for example in row.examples[: row.evidence_n]]
    texts = get_sequences(context.session, context.run, {example.sequence for example in examples})
    of_texts = long_prefix_share(list(texts.values()), context.run.record.model.bos_token_id)
    in_same = _share_in_same_examples(context, head, [row.feature for row in features])
    return max(of_texts, in_same, _share_of_others(context, head, rank, len(features)))


def _attends_to_copies(context: AtlasContext, head: HeadRef) -> bool:
    record = next(record for record in context.heads if record.ref == head)
    return record.scores.get("induction", 0.0) >= MIN_ATTENTION


def _share_in_same_examples(context: AtlasContext, head: HeadRef, features: Sequence[FeatureRef]) -> float:
    """The share through the layer's other heads in the top examples of these features; 0 for too few sources."""
    records = stored_features(context.session, context.run, features, with_examples=True)
    others = [other for other in range(context.run.record.model.n_heads) if other != head.head]
    pairs = [(HeadRef(head.layer, other), feature) for other in others for feature in features]
    return _long_share(pairs, records)


def _share_of_others(context: AtlasContext, head: HeadRef, rank: Ranking, k: int) -> float:
    """The share through the layer's other heads; 0 where they read too few sources with a prefix."""
    rankings = get_all_rankings(context.session, context.run, k, head.layer)
    features = {ref: of_head for (ref, name), of_head in rankings.items() if name == rank and ref != head}
    every = sorted({feature for of_head in features.values() for feature in of_head})
    evidence = stored_evidence(context.session, context.run, every)
    induction = [
        (ref, feature)
        for ref, of_head in features.items()
        for feature in of_head
        if feature in evidence and _shows_induction(evidence[feature], ref)
    ]
    chosen = sorted({feature for _, feature in induction})
    return _long_share(induction, stored_features(context.session, context.run, chosen, with_examples=True))


def _shows_induction(evidence: Evidence, head: HeadRef) -> bool:
    n = evidence.n_examples
    return n >= MIN_EXAMPLES and evidence.counts["induction"][head.head] >= MIN_SHARE * n


def _long_share(
    pairs: Sequence[tuple[HeadRef, FeatureRef]], records: Mapping[FeatureRef, FeatureRecord]
) -> float:
    n_sources = n_long = 0
    for head, feature in pairs:
        record = records[feature]
        if record.examples is not None:
            prefixes = record.examples.prefix_length[: record.evidence.n_examples, head.head]
            n_sources += int((prefixes >= 1).sum())
            n_long += int((prefixes >= LONG_PREFIX).sum())
    return n_long / n_sources if n_sources >= MIN_SOURCES else 0.0
