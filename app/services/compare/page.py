"""The page that compares up to four heads side by side."""

import math
from collections.abc import Sequence

from app.domain.records import FeatureRecord, HeadRanking, Ranking
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services.compare.experiments import compared_experiments
from app.services.compare.models import (
    ComparedFeature,
    ComparedHead,
    ComparedScore,
    ComparePage,
    FeatureExamples,
)
from app.services.compare.nearest import leading_heads, nearest_heads
from app.services.examples import from_records
from app.services.reading.context import AtlasContext, check_head, sae_of
from app.services.reading.scores import all_scores, in_order, score_names
from app.store.atlas.features import get_features
from app.store.atlas.reads import get_ranking, get_texts

MAX_HEADS = 4
TOP = 10
N_FEATURES_SHOWN = 2  # features of each head whose examples are shown
N_PAIRS = 4
N_TOKENS = 3


def compare_page(
    context: AtlasContext, heads: Sequence[HeadRef], rank: Ranking = "decoder_weight"
) -> ComparePage:
    """The comparison of the heads; with none or one of them, a page to choose others from.

    Raises NotFound for a head that the model does not have, ValueError for more than MAX_HEADS.
    """
    if len(heads) > MAX_HEADS:
        raise ValueError(f"{len(heads)} heads; at most {MAX_HEADS} can be compared")
    run = context.run
    for head in heads:
        check_head(run, head)
    rankings = [get_ranking(context.session, run, head, rank, TOP) for head in heads]
    refs = sorted({ranked.ref for ranking in rankings for ranked in ranking.features})
    records = {record.ref: record for record in get_features(context.session, run, refs, with_examples=True)}
    model = run.record.model
    last = heads[-1] if heads else None
    return ComparePage(
        model=run.slug,
        run=from_records.summarise_run(run.record),
        rank=rank,
        heads=_heads(context, rankings, records),
        scores=_scores(context, heads),
        features=_features(context, rankings, records),
        experiments=compared_experiments(context, heads),
        others=tuple(
            HeadRef(heads[0].layer, index)
            for index in range(model.n_heads if heads else 0)
            if HeadRef(heads[0].layer, index) not in heads
        ),
        n_heads_total=model.n_layers * model.n_heads,
        previous=_free_head(last, heads, range(last.head - 1, -1, -1)) if last else None,
        next=_free_head(last, heads, range(last.head + 1, model.n_heads)) if last else None,
        n_layers=model.n_layers,
        n_heads=model.n_heads,
        nearest=nearest_heads(context.heads, heads[0]) if len(heads) == 1 else (),
        leading=() if heads else leading_heads(context.heads, score_names(context.heads)),
    )


def _free_head(last: HeadRef, heads: Sequence[HeadRef], indices: range) -> HeadRef | None:
    """The first head of the layer, in the order of `indices`, that is not compared yet."""
    candidates = (HeadRef(last.layer, index) for index in indices)
    return next((head for head in candidates if head not in heads), None)


def _scores(context: AtlasContext, heads: Sequence[HeadRef]) -> tuple[ComparedScore, ...]:
    tables = {head.ref: all_scores(head) for head in context.heads}
    for head in heads:
        if head not in tables:
            raise NotFound(f"no scores of {head} in the atlas {context.run.slug!r}")
    names = in_order(name for head in heads for name in tables[head])
    return tuple(
        ComparedScore(
            name,
            tuple(tables[head].get(name) for head in heads),
            tuple(scores[name] for scores in tables.values() if math.isfinite(scores.get(name, math.nan))),
        )
        for name in names
    )


def _heads(
    context: AtlasContext, rankings: Sequence[HeadRanking], records: dict[FeatureRef, FeatureRecord]
) -> tuple[ComparedHead, ...]:
    records_by_head = {
        ranking.head: [
            records[ranked.ref] for ranked in ranking.features if records[ranked.ref].examples is not None
        ][:N_FEATURES_SHOWN]
        for ranking in rankings
    }
    sequence_ids: set[int] = set()
    for record in (record for features in records_by_head.values() for record in features):
        sequence_ids |= from_records.sequences_of(record, record.groups[0], N_PAIRS)
    sequences = get_texts(context.session, context.run, sequence_ids) if sequence_ids else {}
    return tuple(
        ComparedHead(
            head,
            sae_of(context.run, head.layer) is not None,
            tuple(_examples(context, head, record, sequences) for record in features),
        )
        for head, features in records_by_head.items()
    )


def _examples(
    context: AtlasContext, head: HeadRef, record: FeatureRecord, sequences: from_records.Sequences
) -> FeatureExamples:
    vocabulary = context.vocabulary
    return FeatureExamples(
        feature=record.ref,
        promoted=from_records.whole_logits(record.promoted, vocabulary)[:N_TOKENS],
        evidence=from_records.evidence_shares(record, head.head),
        evidence_n=record.evidence.n_examples,
        max_activation=record.max_activation,
        dfa_maximum=from_records.dfa_maximum(record, head.head),
        pairs=from_records.group_pairs(record, record.groups[0], head.head, N_PAIRS, sequences, vocabulary),
    )


def _features(
    context: AtlasContext, rankings: Sequence[HeadRanking], records: dict[FeatureRef, FeatureRecord]
) -> tuple[ComparedFeature, ...]:
    ranks_by_head = [{ranked.ref: ranked.rank for ranked in ranking.features} for ranking in rankings]
    features: list[ComparedFeature] = []
    for ref in dict.fromkeys(ref for ranks in ranks_by_head for ref in ranks):
        record = records[ref]
        fve = from_records.fve_by_head(record)
        shares = record.decoder_weight_share
        same_layer = [ranking.head.layer == ref.layer for ranking in rankings]
        indices = [ranking.head.head for ranking in rankings]
        features.append(
            ComparedFeature(
                feature=ref,
                ranks=tuple(ranks.get(ref) for ranks in ranks_by_head),
                decoder_weight_shares=tuple(
                    float(shares[i]) if same else None for i, same in zip(indices, same_layer, strict=True)
                ),
                fve=tuple(fve[i] if same else None for i, same in zip(indices, same_layer, strict=True)),
                in_all=len(ranks_by_head) > 1 and all(ref in ranks for ranks in ranks_by_head),
                promoted=from_records.whole_logits(record.promoted, context.vocabulary)[:N_TOKENS],
            )
        )
    # Sorting is stable: within each half the order stays head by head, best first.
    return tuple(sorted(features, key=lambda feature: not feature.in_all))
