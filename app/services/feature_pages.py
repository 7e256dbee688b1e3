"""Use cases of a feature's page and of a layer's list of features."""

from dataclasses import dataclass

import numpy as np

from app.domain.records import FeatureRecord, SaeRecord
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services import feature_parts as parts
from app.services.feature_figures import example_figures
from app.services.feature_models import SimilarFeature, WholeExample
from app.services.page_models import FeatureListing, FeaturePage, HeadShare, LayerPage
from app.services.page_parts import Align, Pair, PairGroup, TokenLogit
from app.services.pages import Reading, check_head, sae_of
from app.services.snippets import make_example, make_pair
from app.store.dashboards import get_sequences
from app.store.features import feature_neighbours, get_feature, get_features, list_features

N_TOP_SHOWN = 16
N_INTERVAL_SHOWN = 4
N_LISTED = 100  # features on one page of a layer
N_LISTED_TOKENS = 5


@dataclass(frozen=True)
class Place:
    """Where an example fires: a sequence of the corpus and a position in it."""

    sequence: int
    position: int


def feature_page(
    reading: Reading,
    ref: FeatureRef,
    head: HeadRef | None,
    align: Align = "prefix",
    whole: Place | None = None,
) -> FeaturePage:
    """Through the given head, or the one with the largest decoder weight share; `whole`: an example shown in full.

    Raises NotFound for a feature or example that is not stored, or a head of another layer.
    """
    run = reading.run
    sae, record, chosen = _chosen(reading, ref, head)
    neighbours = feature_neighbours(reading.session, run, ref)
    vocabulary, index = reading.vocabulary, chosen.head
    promoted = parts.whole_logits(record.promoted, vocabulary)
    return FeaturePage(
        model=run.slug,
        feature=ref,
        run=parts.summarise_run(run.record),
        head=chosen,
        align=align,
        whole=None if whole is None else _whole(reading, record, index, align, whole),
        n_active=record.n_active,
        density=record.density,
        max_activation=record.max_activation,
        mean_activation=record.mean_activation,
        heads=_heads(reading, record, promoted),
        promoted=promoted,
        suppressed=parts.whole_logits(record.suppressed, vocabulary),
        head_promoted=parts.head_logits(record.head_promoted, index, vocabulary),
        head_suppressed=parts.head_logits(record.head_suppressed, index, vocabulary),
        logit_histogram=parts.make_bins(record.logit_histogram),
        activation_histogram=parts.make_bins(record.activation_histogram),
        evidence=parts.evidence_shares(record.evidence, index),
        evidence_n=record.evidence.n_examples,
        groups=_groups(reading, record, index, align),
        worst_residual=record.worst_residual,
        dfa_maximum=parts.dfa_maximum(record, index),
        sae=sae,
        similar=_similar(reading, record),
        figures=example_figures(record, index),
        n_layers=run.record.model.n_layers,
        previous=neighbours.previous,
        next=neighbours.next,
    )


def whole_example(
    reading: Reading, ref: FeatureRef, head: HeadRef | None, align: Align, place: Place
) -> WholeExample:
    """One example alone, for a request of it. Raises as `feature_page` does."""
    _, record, chosen = _chosen(reading, ref, head)
    return WholeExample(
        model=reading.run.slug,
        feature=ref,
        head=chosen,
        run=parts.summarise_run(reading.run.record),
        align=align,
        max_activation=record.max_activation,
        dfa_maximum=parts.dfa_maximum(record, chosen.head),
        whole=_whole(reading, record, chosen.head, align, place),
    )


def _chosen(
    reading: Reading, ref: FeatureRef, head: HeadRef | None
) -> tuple[SaeRecord, FeatureRecord, HeadRef]:
    sae = _layer_sae(reading, ref.layer)
    if ref.index >= sae.d_sae:
        raise NotFound(f"layer {ref.layer} has {sae.d_sae} features; {ref} is not one of them")
    record = get_feature(reading.session, reading.run, ref)
    chosen = head or largest_head(record)
    _check_writer(reading, chosen, ref)
    return sae, record, chosen


def _whole(reading: Reading, record: FeatureRecord, head: int, align: Align, place: Place) -> Pair:
    examples = record.examples
    if examples is not None:
        found = (examples.sequence == place.sequence) & (examples.position == place.position)
        for index in np.flatnonzero(found)[:1].tolist():
            group = next(group.name for group in record.groups if group.start <= index < group.stop)
            tokens = get_sequences(reading.session, reading.run, [place.sequence])[place.sequence]
            example = make_example(examples, index, head, group)
            return make_pair(example, examples, index, head, tokens, reading.vocabulary, align, whole=True)
    raise NotFound(f"{record.ref} has no example at {place.sequence}:{place.position}")


def _similar(reading: Reading, record: FeatureRecord) -> tuple[SimilarFeature, ...]:
    if record.similar is None:
        return ()
    refs = [FeatureRef(record.ref.layer, int(index)) for index in record.similar.feature_index]
    others = get_features(reading.session, reading.run, refs, with_examples=False)
    return tuple(
        SimilarFeature(
            other.ref, float(cosine), parts.whole_logits(other.promoted, reading.vocabulary)[:N_LISTED_TOKENS]
        )
        for other, cosine in zip(others, record.similar.cosine, strict=True)
    )


def _check_writer(reading: Reading, head: HeadRef, ref: FeatureRef) -> None:
    check_head(reading.run, head)
    if head.layer != ref.layer:
        raise NotFound(f"{head} does not write {ref}: they are of different layers")


def layer_page(reading: Reading, layer: int, after: int | None) -> LayerPage:
    """The layer's stored features by index, those after `after`. Raises NotFound where it has no SAE."""
    run = reading.run
    sae = _layer_sae(reading, layer)
    start = None if after is None else FeatureRef(layer, after)
    records = list_features(reading.session, run, layer, limit=N_LISTED + 1, after=start)
    shown = records[:N_LISTED]
    return LayerPage(
        model=run.slug,
        layer=layer,
        run=parts.summarise_run(run.record),
        sae=sae,
        features=tuple(_listing(reading, record) for record in shown),
        following=shown[-1].ref.index if len(records) > N_LISTED else None,
        n_layers=run.record.model.n_layers,
        heads=tuple(HeadRef(layer, head) for head in range(run.record.model.n_heads)),
    )


def largest_head(record: FeatureRecord) -> HeadRef:
    """The head with the largest decoder weight share, the first of equals."""
    return HeadRef(record.ref.layer, int(np.argmax(record.decoder_weight_share)))


def _layer_sae(reading: Reading, layer: int) -> SaeRecord:
    sae = sae_of(reading.run, layer)
    if sae is None:
        raise NotFound(f"the atlas {reading.run.slug!r} has no SAE for layer {layer}")
    return sae


def _heads(
    reading: Reading, record: FeatureRecord, promoted: tuple[TokenLogit, ...]
) -> tuple[HeadShare, ...]:
    top = promoted[0].token_id if promoted else None

    def top_logit(head: int) -> float | None:
        listed = zip(record.head_promoted.token_id[head], record.head_promoted.logit[head], strict=True)
        return next((float(logit) for token, logit in listed if int(token) == top), None)

    return tuple(
        HeadShare(
            head=HeadRef(record.ref.layer, head),
            decoder_weight_norm=float(record.decoder_weight_norm[head]),
            decoder_weight_share=float(record.decoder_weight_share[head]),
            fve=parts.make_fve(record, head),
            evidence_counts=parts.evidence_counts(record.evidence, head),
            top_logit=top_logit(head),
        )
        for head in range(reading.run.record.model.n_heads)
    )


def _groups(reading: Reading, record: FeatureRecord, head: int, align: Align) -> tuple[PairGroup, ...]:
    if record.examples is None:
        return ()
    shown = [(group, N_TOP_SHOWN if group.name == "top" else N_INTERVAL_SHOWN) for group in record.groups]
    wanted: set[int] = set()
    for group, n_shown in shown:
        wanted |= parts.sequences_of(record, group, n_shown)
    sequences = get_sequences(reading.session, reading.run, wanted)
    return tuple(
        PairGroup(
            parts.make_group(group),
            parts.group_pairs(record, group, head, n_shown, sequences, reading.vocabulary, align),
        )
        for group, n_shown in shown
    )


def _listing(reading: Reading, record: FeatureRecord) -> FeatureListing:
    head = largest_head(record)
    return FeatureListing(
        feature=record.ref,
        density=record.density,
        max_activation=record.max_activation,
        head=head,
        decoder_weight_share=float(record.decoder_weight_share[head.head]),
        promoted=parts.whole_logits(record.promoted, reading.vocabulary)[:N_LISTED_TOKENS],
    )
