"""The page of a feature, and the list of a layer's features."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from app.domain.numbers import FeatureNumbers, values_of
from app.domain.records import ExampleGroup, FeatureRecord, SaeRecord
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services.examples import from_records
from app.services.examples.models import Align, Pair, PairGroup
from app.services.examples.texts import make_example, make_pair
from app.services.examples.through_head import view_through
from app.services.features.figure_models import SimilarFeature, WholeExample
from app.services.features.figures import example_figures, summed_evidence
from app.services.features.head_shares import head_shares
from app.services.features.models import FeatureListing, FeaturePage, LayerPage
from app.services.reading.context import AtlasContext, check_head, sae_of
from app.store.atlas.features import feature_neighbours, get_feature, get_features, list_features
from app.store.atlas.reads import get_texts

HeadOrSum = HeadRef | Literal["all"]  # whose DFA is shown: one head's, or that of all heads summed
N_TOP_SHOWN = 16
N_INTERVAL_SHOWN = 4
N_LISTED = 100  # features on one page of a layer
N_LISTED_TOKENS = 5


@dataclass(frozen=True)
class ExamplePosition:
    """The position of an example's firing token: a sequence of the corpus, and a position in it."""

    sequence: int
    position: int


def feature_page(
    context: AtlasContext,
    ref: FeatureRef,
    head: HeadOrSum | None,
    align: Align = "prefix",
    whole: ExamplePosition | None = None,
) -> FeaturePage:
    """The feature page seen through `head` (default: the head with the largest decoder weight share).

    whole: an example to show in full.
    Raises NotFound for a feature or example that is not stored, for a head of another layer, and for "all" if
    the run did not store the sum over heads.
    """
    run = context.run
    sae, record, chosen = _chosen(context, ref, head)
    neighbours = feature_neighbours(context.session, run, ref)
    vocabulary, index = context.vocabulary, _index_of(chosen)
    sequences = _sequences(context, record)
    promoted = from_records.whole_logits(record.promoted, vocabulary)
    return FeaturePage(
        model=run.slug,
        feature=ref,
        run=from_records.summarise_run(run.record),
        head=chosen,
        all_heads=record.examples is not None and record.examples.summed is not None,
        align=align,
        whole=None if whole is None else _whole(context, record, index, align, whole),
        heads=head_shares(record),
        promoted=promoted,
        suppressed=from_records.whole_logits(record.suppressed, vocabulary),
        head_promoted=from_records.slice_logits(record.head_promoted, index, vocabulary),
        head_suppressed=from_records.slice_logits(record.head_suppressed, index, vocabulary),
        logit_histogram=from_records.make_bins(record.logit_histogram),
        activation_histogram=from_records.make_bins(record.activation_histogram),
        evidence=_evidence(context, record, index, sequences),
        evidence_n=record.evidence.n_examples,
        groups=_groups(context, record, index, align, sequences),
        dfa_maximum=from_records.dfa_maximum(record, index),
        sae=sae,
        similar=_similar(context, record),
        figures=example_figures(record, index),
        n_layers=run.record.model.n_layers,
        previous=neighbours.previous,
        next=neighbours.next,
        **values_of(FeatureNumbers, record),
    )


def whole_example(
    context: AtlasContext, ref: FeatureRef, head: HeadOrSum | None, align: Align, place: ExamplePosition
) -> WholeExample:
    """One example in full, without the rest of the page. Raises whatever `feature_page` raises."""
    _, record, chosen = _chosen(context, ref, head)
    return WholeExample(
        model=context.run.slug,
        feature=ref,
        head=chosen,
        run=from_records.summarise_run(context.run.record),
        align=align,
        max_activation=record.max_activation,
        dfa_maximum=from_records.dfa_maximum(record, _index_of(chosen)),
        whole=_whole(context, record, _index_of(chosen), align, place),
    )


def _chosen(
    context: AtlasContext, ref: FeatureRef, head: HeadOrSum | None
) -> tuple[SaeRecord, FeatureRecord, HeadRef | None]:
    """The layer's SAE, the feature, and the head to see it through; None for all heads summed."""
    sae = _layer_sae(context, ref.layer)
    if ref.index >= sae.d_sae:
        raise NotFound(f"layer {ref.layer} has {sae.d_sae} features; {ref} is not one of them")
    record = get_feature(context.session, context.run, ref)
    if head == "all":
        if record.examples is not None:
            view_through(record.examples, None)
        return sae, record, None
    chosen = head or record.largest_head
    _check_writer(context, chosen, ref)
    return sae, record, chosen


def _index_of(head: HeadRef | None) -> int | None:
    return None if head is None else head.head


def _whole(
    context: AtlasContext, record: FeatureRecord, head: int | None, align: Align, place: ExamplePosition
) -> Pair:
    examples = record.examples
    if examples is not None:
        is_at_place = (examples.sequence == place.sequence) & (examples.position == place.position)
        for index in np.flatnonzero(is_at_place)[:1].tolist():
            group = next(group.name for group in record.groups if group.start <= index < group.stop)
            text = get_texts(context.session, context.run, [place.sequence])[place.sequence]
            view = view_through(examples, head)
            example = make_example(examples, view, index, group)
            return make_pair(example, examples, view, index, text, context.vocabulary, align, whole=True)
    raise NotFound(f"{record.ref} has no example at {place.sequence}:{place.position}")


def _similar(context: AtlasContext, record: FeatureRecord) -> tuple[SimilarFeature, ...]:
    if record.similar is None:
        return ()
    refs = [FeatureRef(record.ref.layer, int(index)) for index in record.similar.feature_index]
    others = get_features(context.session, context.run, refs, with_examples=False)
    return tuple(
        SimilarFeature(
            other.ref,
            float(cosine),
            from_records.whole_logits(other.promoted, context.vocabulary)[:N_LISTED_TOKENS],
        )
        for other, cosine in zip(others, record.similar.cosine, strict=True)
    )


def _check_writer(context: AtlasContext, head: HeadRef, ref: FeatureRef) -> None:
    check_head(context.run, head)
    if head.layer != ref.layer:
        raise NotFound(f"{head} does not write {ref}: they are in different layers")


def layer_page(context: AtlasContext, layer: int, after: int | None) -> LayerPage:
    """A page of the layer's stored features in the order of their index, starting after index `after`.

    Raises NotFound for a layer without an SAE.
    """
    run = context.run
    sae = _layer_sae(context, layer)
    start = None if after is None else FeatureRef(layer, after)
    records = list_features(context.session, run, layer, limit=N_LISTED + 1, after=start)
    listed = records[:N_LISTED]
    return LayerPage(
        model=run.slug,
        layer=layer,
        run=from_records.summarise_run(run.record),
        sae=sae,
        features=tuple(_listing(context, record) for record in listed),
        following=listed[-1].ref.index if len(records) > N_LISTED else None,
        n_layers=run.record.model.n_layers,
        heads=tuple(HeadRef(layer, head) for head in range(run.record.model.n_heads)),
    )


def _layer_sae(context: AtlasContext, layer: int) -> SaeRecord:
    sae = sae_of(context.run, layer)
    if sae is None:
        raise NotFound(f"the atlas {context.run.slug!r} has no SAE for layer {layer}")
    return sae


def _n_shown(group: ExampleGroup) -> int:
    return N_TOP_SHOWN if group.name == "top" else N_INTERVAL_SHOWN


def _sequences(context: AtlasContext, record: FeatureRecord) -> from_records.Sequences:
    """The sequences of every shown example and of the whole top group, over which evidence is counted."""
    sequence_ids: set[int] = set()
    for index, group in enumerate(record.groups):
        sequence_ids |= from_records.sequences_of(
            record, group, group.stop if index == 0 else _n_shown(group)
        )
    return get_texts(context.session, context.run, sequence_ids)


def _evidence(
    context: AtlasContext, record: FeatureRecord, head: int | None, sequences: from_records.Sequences
) -> dict[str, float]:
    if head is None:
        tokens = {index: text.tokens for index, text in sequences.items()}
        return summed_evidence(record, tokens, context.run.record.model.bos_token_id)
    return from_records.evidence_shares(record, head)


def _groups(
    context: AtlasContext,
    record: FeatureRecord,
    head: int | None,
    align: Align,
    sequences: from_records.Sequences,
) -> tuple[PairGroup, ...]:
    if record.examples is None:
        return ()
    vocabulary = context.vocabulary
    return tuple(
        PairGroup(
            from_records.make_group(group),
            from_records.group_pairs(record, group, head, _n_shown(group), sequences, vocabulary, align),
        )
        for group in record.groups
    )


def _listing(context: AtlasContext, record: FeatureRecord) -> FeatureListing:
    head = record.largest_head
    return FeatureListing(
        feature=record.ref,
        density=record.density,
        max_activation=record.max_activation,
        head=head,
        decoder_weight_share=float(record.decoder_weight_share[head.head]),
        promoted=from_records.whole_logits(record.promoted, context.vocabulary)[:N_LISTED_TOKENS],
    )
