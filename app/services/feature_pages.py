"""Use cases of a feature's page and of a layer's list of features."""

import numpy as np

from app.domain.records import FeatureRecord, SaeRecord
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services import feature_parts as parts
from app.services.page_models import FeatureListing, FeaturePage, HeadShare, LayerPage
from app.services.page_parts import PairGroup, TokenLogit
from app.services.pages import Reading, check_head, sae_of
from app.store.dashboards import get_sequences
from app.store.features import feature_neighbours, get_feature, list_features

N_TOP_SHOWN = 20
N_INTERVAL_SHOWN = 5
N_LISTED = 100
N_LISTED_TOKENS = 5


def feature_page(reading: Reading, ref: FeatureRef, head: HeadRef | None) -> FeaturePage:
    """Through the given head, or the one with the largest decoder weight share.

    Raises NotFound for a feature that is not stored, or a head of another layer.
    """
    run, sae = reading.run, _layer_sae(reading, ref.layer)
    if ref.index >= sae.d_sae:
        raise NotFound(f"layer {ref.layer} has {sae.d_sae} features; {ref} is not one of them")
    record = get_feature(reading.session, run, ref)
    chosen = head or largest_head(record)
    _check_writer(reading, chosen, ref)
    neighbours = feature_neighbours(reading.session, run, ref)
    vocabulary, index = reading.vocabulary, chosen.head
    promoted = parts.whole_logits(record.promoted, vocabulary)
    return FeaturePage(
        model=run.slug,
        feature=ref,
        run=parts.summarise_run(run.record),
        head=chosen,
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
        groups=_groups(reading, record, index),
        worst_residual=record.worst_residual,
        dfa_maximum=parts.dfa_maximum(record, index),
        sae=sae,
        n_layers=run.record.model.n_layers,
        previous=neighbours.previous,
        next=neighbours.next,
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


def _groups(reading: Reading, record: FeatureRecord, head: int) -> tuple[PairGroup, ...]:
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
            parts.group_pairs(record, group, head, n_shown, sequences, reading.vocabulary),
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
