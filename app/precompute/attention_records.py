"""Turn a layer's merged attention statistics into the records that the store keeps, one per head."""

from dataclasses import replace

import numpy as np

from app.adapters.corpora import Corpus
from app.domain.attention import (
    N_LISTED_SINKS,
    N_LISTED_TOKENS,
    N_PICTURES,
    AttentionExamples,
    HeadAttention,
    SinkTokens,
    TokenShares,
)
from app.domain.records import N_SOURCES
from app.domain.refs import HeadRef
from app.precompute.distinct_examples import DistinctExamples, DistinctGroup, TextCounts, example_groups
from app.statistics.arrays import Floats
from app.statistics.attention_partial import AttentionPartial
from app.statistics.payloads import split_key
from app.statistics.token_mass import TokenMass


def head_attention(
    partial: AttentionPartial, layer: int, examples: DistinctExamples, corpus: Corpus
) -> list[HeadAttention]:
    """The records of all heads of one layer."""
    by_head = examples.groups(partial.groups(head) for head in range(partial.n_heads))
    counts = TextCounts.of(corpus, [group for groups in by_head for group in groups])
    return [_of_head(partial, HeadRef(layer, head), groups, counts) for head, groups in enumerate(by_head)]


def _of_head(
    partial: AttentionPartial, ref: HeadRef, stored: tuple[DistinctGroup, ...], counts: TextCounts
) -> HeadAttention:
    head = ref.head
    distance = partial.distance.total[head]
    on_sinks = float(partial.sink_mass.total[head])
    everything = on_sinks + float(distance.sum())
    tokens = np.concatenate([np.zeros(0, np.int64), *(group.token_index for group in stored)])
    strongest = stored[0].token_index if stored else tokens
    strongest = strongest[np.isin(strongest, split_key(partial.pictures.of_feature(head).key)[1])][
        :N_PICTURES
    ]
    return HeadAttention(
        ref=ref,
        n_destinations=int(partial.n_destinations.total),
        sink_share=_share(on_sinks, everything),
        first_sink_share=_share(float(partial.first_sink_mass.total[head]), everything),
        sinks=_sinks(partial.sinks, head, everything),
        distance=_shares(distance),
        read_from=_listed(partial.read_from, head),
        read=_listed(partial.read, head),
        groups=example_groups(stored, sum(group.n_tokens for group in stored[1:])),
        examples=replace(_examples(partial, head, tokens), n_alike=counts.alike(stored)),
        pictures=partial.pictures.rows(head, strongest)["picture"]
        if len(strongest)
        else np.zeros((0, 0, 0), np.uint8),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _shares(mass: Floats) -> Floats:
    whole = float(mass.sum())
    return mass / whole if whole > 0 else np.zeros_like(mass)


def _listed(by_token: TokenMass, head: int) -> TokenShares:
    """The tokens whose share of the attention is furthest above their share of the corpus, furthest first."""
    share = _shares(by_token.mass[:, head])
    base_rate = _shares(by_token.n[:, head].astype(np.float64))
    order = np.argsort(base_rate - share, kind="stable")[:N_LISTED_TOKENS]
    order = order[share[order] > base_rate[order]]
    return TokenShares(by_token.token[order].astype(np.int32), share[order], base_rate[order])


def _sinks(sinks: TokenMass, head: int, everything: float) -> SinkTokens:
    order = np.argsort(-sinks.mass[:, head], kind="stable")[:N_LISTED_SINKS]
    order = order[sinks.n[order, head] > 0]
    share = sinks.mass[order, head] / everything if everything > 0 else np.zeros(len(order))
    return SinkTokens(sinks.token[order].astype(np.int32), sinks.n[order, head], share)


def _examples(partial: AttentionPartial, head: int, tokens: np.ndarray) -> AttentionExamples:
    sequence, position = (
        part.astype(np.int32) for part in np.divmod(tokens, partial.distance.total.shape[1])
    )
    if not len(tokens):
        none, by_source = np.zeros(0, np.float32), (0, N_SOURCES)
        return AttentionExamples(
            sequence, position, np.zeros(by_source, np.int16), np.zeros(by_source, np.float32), none, none
        )
    return AttentionExamples(sequence, position, **partial.payloads.rows(head, tokens))
