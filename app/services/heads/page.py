"""Head pages, read from the store in a fixed number of queries."""

from dataclasses import dataclass

from app.domain.numbers import FeatureNumbers, HeadNumbers, values_of, values_of_head
from app.domain.records import FeatureRecord, RankedFeature, Ranking
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services.examples import from_records
from app.services.examples.models import Align, FeatureThroughHead, Pair, PairGroup
from app.services.heads.attention import AttentionQuestion, attention_evidence
from app.services.heads.experiments import experiments_of
from app.services.heads.models import HeadFeatureRow, HeadPage
from app.services.heads.neighbours import neighbour
from app.services.heads.summary import summarise_head
from app.services.reading.context import AtlasContext, check_head, sae_of
from app.services.reading.scores import score_ranks
from app.store.atlas.features import get_features
from app.store.atlas.reads import get_ranking, get_texts

N_SHOWN = 10  # examples of one group in an opened row


@dataclass(frozen=True)
class HeadQuestion:
    """Parameters of a head page. open_feature: the opened row; None for the strongest feature.

    open_group: of that row, or of a head without features. example: of such a head, the one whose pattern is drawn.
    """

    head: HeadRef
    rank: Ranking = "decoder_weight"
    k: int = 10
    open_feature: FeatureRef | None = None
    open_group: int = 0
    open_all: bool = False  # every row, for pages that cannot ask for one later
    align: Align = "prefix"
    example: int = 0


def head_page(context: AtlasContext, question: HeadQuestion) -> HeadPage:
    """The page of one head. Raises NotFound for a head that the model does not have."""
    run, ref = context.run, question.head
    check_head(run, ref)
    heads = context.heads
    head = next((record for record in heads if record.ref == ref), None)
    if head is None:
        raise NotFound(f"no scores of {ref} in the atlas {run.slug!r}")
    sae = sae_of(run, ref.layer)
    rows, standings = head_rows(context, question), score_ranks(heads, ref)
    of_attention = AttentionQuestion(ref, question.open_group, question.example)
    attention = None if sae else attention_evidence(context, of_attention)
    return HeadPage(
        model=run.slug,
        head=ref,
        run=from_records.summarise_run(run.record),
        summary=summarise_head(ref, standings, rows, question.rank, attention),
        scores=head.scores,
        rank=question.rank,
        align=question.align,
        open=question.open_feature,
        open_group=question.open_group,
        example=question.example,
        features=rows,
        k=question.k,
        previous=neighbour(run, ref, -1),
        next=neighbour(run, ref, 1),
        n_layers=run.record.model.n_layers,
        n_heads=run.record.model.n_heads,
        sae=sae,
        standings=standings,
        experiments=experiments_of(context, ref),
        has_attention=context.has_attention,
        attention=attention,
        **values_of(HeadNumbers, head),
    )


def feature_row(context: AtlasContext, question: HeadQuestion) -> HeadFeatureRow:
    """The opened row of a head's page alone. Raises NotFound if the feature is not in the ranking."""
    check_head(context.run, question.head)
    rows = head_rows(context, question, only=question.open_feature)
    if not rows:
        raise NotFound(f"{question.open_feature} is not among the top features of {question.head}")
    return HeadFeatureRow(
        model=context.run.slug,
        head=question.head,
        run=from_records.summarise_run(context.run.record),
        rank=question.rank,
        align=question.align,
        k=question.k,
        row=rows[0],
    )


def head_rows(
    context: AtlasContext, question: HeadQuestion, only: FeatureRef | None = None
) -> tuple[FeatureThroughHead, ...]:
    """The head's top features with the text that their rows show, or `only` one of them, in three queries."""
    ranking = get_ranking(context.session, context.run, question.head, question.rank, question.k)
    ranked_features = [ranked for ranked in ranking.features if only is None or ranked.ref == only]
    records = get_features(
        context.session, context.run, [ranked.ref for ranked in ranked_features], with_examples=True
    )
    opened = question.open_feature or (ranked_features[0].ref if ranked_features else None)
    open_groups = [_groups_shown(record, question, opened) for record in records]
    sequence_ids: set[int] = set()
    for record, (strongest, open_group) in zip(records, open_groups, strict=True):
        sequence_ids |= from_records.sequences_of(record, strongest, 1) if strongest else set()
        sequence_ids |= from_records.sequences_of(record, open_group, N_SHOWN) if open_group else set()
    sequences = get_texts(context.session, context.run, sequence_ids)
    rows: list[FeatureThroughHead] = []
    for ranked, record, (strongest, open_group) in zip(ranked_features, records, open_groups, strict=True):
        first = _pairs(context, question, record, strongest, 1, sequences) if strongest else ()
        pairs = None
        if open_group:
            shown_pairs = _pairs(context, question, record, open_group, N_SHOWN, sequences)
            pairs = PairGroup(from_records.make_group(open_group), shown_pairs)
        rows.append(_row(context, question.head, ranked, record, first, pairs))
    return tuple(rows)


def _pairs(
    context: AtlasContext,
    question: HeadQuestion,
    record: FeatureRecord,
    group: from_records.ExampleGroup,
    n_shown: int,
    sequences: from_records.Sequences,
) -> tuple[Pair, ...]:
    head, vocabulary = question.head.head, context.vocabulary
    return from_records.group_pairs(record, group, head, n_shown, sequences, vocabulary, question.align)


def _groups_shown(
    record: FeatureRecord, question: HeadQuestion, opened: FeatureRef | None
) -> tuple[from_records.ExampleGroup | None, from_records.ExampleGroup | None]:
    """The group that holds the strongest example, and the group to show in full, or None for a closed row."""
    if record.examples is None or not record.groups or record.groups[0].stop == record.groups[0].start:
        return None, None
    if question.open_all:
        return record.groups[0], record.groups[0]
    if record.ref != opened:
        return record.groups[0], None
    if question.open_group >= len(record.groups):
        raise NotFound(f"{record.ref} has no group of activation {question.open_group}")
    return record.groups[0], record.groups[question.open_group]


def _row(
    context: AtlasContext,
    ref: HeadRef,
    ranked: RankedFeature,
    record: FeatureRecord,
    first: tuple[Pair, ...],
    opened: PairGroup | None,
) -> FeatureThroughHead:
    head, vocabulary = ref.head, context.vocabulary
    return FeatureThroughHead(
        feature=record.ref,
        rank=ranked.rank,
        other_rank=ranked.other_rank,
        fve=from_records.make_fve(record, head),
        promoted=from_records.whole_logits(record.promoted, vocabulary),
        suppressed=from_records.whole_logits(record.suppressed, vocabulary),
        head_promoted=from_records.head_logits(record.head_promoted, head, vocabulary),
        head_suppressed=from_records.head_logits(record.head_suppressed, head, vocabulary),
        evidence=from_records.evidence_shares(record, head),
        evidence_counts=from_records.evidence_counts(record, head),
        evidence_n=record.evidence.n_examples,
        examples=from_records.make_examples(record, head),
        groups=tuple(from_records.make_group(group) for group in record.groups),
        shares_by_head=tuple(float(share) for share in record.decoder_weight_share),
        fve_by_head=from_records.fve_by_head(record),
        activation_histogram=from_records.make_bins(record.activation_histogram),
        dfa_maximum=from_records.dfa_maximum(record, head),
        strongest=first[0] if first else None,
        opened=opened,
        **values_of(FeatureNumbers, record),
        **values_of_head(record, head),
    )
