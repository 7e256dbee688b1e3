"""The card beside a cell of the atlas: one head at a glance, in a few queries."""

from app.domain.annotations.records import Subject
from app.domain.refs import HeadRef
from app.services.atlas.annotation_models import CardFeature, HeadCard, HeadNotes
from app.services.atlas.annotations import head_notes
from app.services.examples.from_records import summarise_run, whole_logits
from app.services.reading.context import AtlasContext, check_head, sae_of
from app.services.reading.scores import score_ranks
from app.services.rollups.overview import default_annotator, summarise_record
from app.services.rollups.rollup import submitted_heads
from app.store.atlas.features import get_features
from app.store.atlas.reads import get_ranking

N_FEATURES, N_TOKENS, N_SCORES = 3, 2, 3


def head_card(context: AtlasContext, head: HeadRef, by: str | None = None) -> HeadCard:
    """The card of one head. Raises NotFound for a head that the model does not have."""
    run = context.run
    check_head(run, head)
    ranking = get_ranking(context.session, run, head, "decoder_weight", N_FEATURES)
    records = get_features(
        context.session, run, [place.ref for place in ranking.features], with_examples=False
    )
    return HeadCard(
        model=run.slug,
        head=head,
        run=summarise_run(run.record),
        sae=sae_of(run, head.layer),
        notes=_notes(context, head, by),
        standings=score_ranks(context.heads, head)[:N_SCORES],
        features=tuple(
            CardFeature(
                record.ref,
                float(record.decoder_weight_share[head.head]),
                whole_logits(record.promoted, context.vocabulary)[:N_TOKENS],
            )
            for record in records
        ),
    )


def _notes(context: AtlasContext, head: HeadRef, by: str | None) -> HeadNotes | None:
    """The labels that the cell of the head shows; the default annotator is the one of the whole atlas."""
    chosen = by or default_annotator(submitted_heads(context.records), context.viewer)
    records = (
        record for record in context.records if record.annotator == chosen and record.subject == Subject(head)
    )
    return next((head_notes(summarise_record(record, ())) for record in records), None)
