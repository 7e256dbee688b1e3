"""The answer of the model's process as parts of a page, with references and token texts for indices."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.domain.evidence import prefix_lengths
from app.domain.prompts import FeatureReading, PromptAnswer
from app.domain.records import FeatureRecord
from app.domain.refs import FeatureRef, HeadRef
from app.domain.tokens import TokenView
from app.services.examples import from_records
from app.services.examples.models import Example, Pair, TokenLogit
from app.services.examples.texts import make_window
from app.services.prompts.models import PromptFeature, PromptHead, PromptReading, PromptSource, PromptToken
from app.services.reading.context import AtlasContext
from app.store.atlas.features import stored_features

N_SOURCES = 8
N_PAIRS = 6  # heads whose source is shown beside the chosen token
N_TOKENS = 4
LEAST = 16  # a source has colour from this part of the largest |DFA| on: half the first step of the scale


def make_reading(context: AtlasContext, layer: int, answer: PromptAnswer) -> PromptReading:
    """The answer for one layer, with names and texts from the store, in one query."""
    feature, head, dest = answer.feature, HeadRef(layer, answer.head), answer.dest
    refs = [FeatureRef(layer, each.index) for each in answer.active]
    ref = None if feature is None else FeatureRef(layer, feature.index)
    stored = stored_features(context.session, context.run, refs if ref is None else [*refs, ref])
    views = context.vocabulary.sequence_views(answer.tokens)
    heads = () if feature is None else _heads(context, layer, answer, feature, views)
    record = None if ref is None else stored.get(ref)
    return PromptReading(
        head=head,
        feature=ref,
        stored=record is not None,
        dest=dest,
        tokens=_tokens(views, feature),
        activation=None if feature is None else feature.activation[dest],
        pre_activation=None if feature is None else feature.pre_activation[dest],
        head_contribution=None if feature is None else feature.contributions[answer.head],
        others_contribution=None if feature is None else _contribution_of_others(feature, answer.head),
        bias=None if feature is None else feature.bias,
        residual=None if feature is None else from_records.finite(feature.residual),
        max_activation=_largest_activation(feature, record),
        dfa_maximum=max((abs(value) for each in heads for value in each.dfa), default=0.0),
        heads=heads,
        sources=_sources(answer, views),
        sources_rest=_rest_of_dfa(answer),
        most_attended=int(np.argmax(answer.pattern[dest])),
        pattern=tuple(tuple(row) for row in answer.pattern),
        active=tuple(
            PromptFeature(
                feature=FeatureRef(layer, each.index),
                position=each.position,
                activation=each.activation,
                head_contribution=each.head_contribution,
                stored=FeatureRef(layer, each.index) in stored,
                promoted=_promoted(context, stored.get(FeatureRef(layer, each.index))),
            )
            for each in answer.active
        ),
    )


def _tokens(views: Sequence[TokenView], feature: FeatureReading | None) -> tuple[PromptToken, ...]:
    return tuple(
        PromptToken(
            view.token_id,
            view.text,
            view,
            at,
            None if feature is None else feature.activation[at],
            None if feature is None else feature.head_contribution[at],
        )
        for at, view in enumerate(views)
    )


def _largest_activation(feature: FeatureReading | None, record: FeatureRecord | None) -> float:
    if feature is None:
        return 0.0
    return max(*feature.activation, record.max_activation if record is not None else 0.0)


def _promoted(context: AtlasContext, record: FeatureRecord | None) -> tuple[TokenLogit, ...]:
    if record is None:
        return ()
    return from_records.whole_logits(record.promoted, context.vocabulary)[:N_TOKENS]


def _order(answer: PromptAnswer) -> list[int]:
    """Source positions, largest |DFA| through the head first, or largest attention without a feature."""
    values = answer.pattern[answer.dest] if answer.feature is None else answer.feature.dfa[answer.head]
    return sorted(range(answer.dest + 1), key=lambda at: (-abs(values[at]), at))


def _sources(answer: PromptAnswer, views: Sequence[TokenView]) -> tuple[PromptSource, ...]:
    attention = answer.pattern[answer.dest]
    dfa = None if answer.feature is None else answer.feature.dfa[answer.head]
    return tuple(
        PromptSource(
            views[at].token_id, views[at].text, views[at], at, attention[at], None if dfa is None else dfa[at]
        )
        for at in _order(answer)[:N_SOURCES]
    )


def _rest_of_dfa(answer: PromptAnswer) -> float | None:
    if answer.feature is None:
        return None
    return math.fsum(answer.feature.dfa[answer.head][at] for at in _order(answer)[N_SOURCES:])


def _contribution_of_others(feature: FeatureReading, head: int) -> float:
    return math.fsum(value for other, value in enumerate(feature.contributions) if other != head)


def _heads(
    context: AtlasContext,
    layer: int,
    answer: PromptAnswer,
    feature: FeatureReading,
    views: Sequence[TokenView],
) -> tuple[PromptHead, ...]:
    n_heads = len(feature.contributions)
    source = np.array([max(range(answer.dest + 1), key=lambda at: dfa[at]) for dfa in feature.dfa])
    exact, fuzzy = _prefixes(context, answer, source)
    largest = sorted(range(n_heads), key=lambda head: (-abs(feature.contributions[head]), head))
    with_pair = {answer.head, *largest[:N_PAIRS]}
    return tuple(
        PromptHead(
            HeadRef(layer, head),
            feature.contributions[head],
            tuple(feature.dfa[head]),
            _pair(answer, feature, views, head, int(source[head]), int(exact[head]), int(fuzzy[head]))
            if head in with_pair
            else None,
        )
        for head in range(n_heads)
    )


def _prefixes(
    context: AtlasContext, answer: PromptAnswer, source: NDArray[np.int64]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    tokens = np.array([answer.tokens])
    plain = context.normalised_ids
    bos = context.run.record.model.bos_token_id
    row, dest = np.zeros_like(source), np.full_like(source, answer.dest)
    return (
        prefix_lengths(tokens, row, dest, source, bos),
        prefix_lengths(plain[tokens], row, dest, source, int(plain[bos])),
    )


def _pair(
    answer: PromptAnswer,
    feature: FeatureReading,
    views: Sequence[TokenView],
    head: int,
    source: int,
    exact: int,
    fuzzy: int,
) -> Pair:
    dest, dfa = answer.dest, feature.dfa[head]
    least = max(map(abs, itertools.chain(*feature.dfa))) / LEAST
    pre_activation = feature.pre_activation[dest]
    example = Example(
        group="prompt",
        sequence=0,
        position=dest,
        activation=feature.activation[dest],
        pre_activation=pre_activation,
        head_contribution=feature.contributions[head],
        head_share=feature.contributions[head] / pre_activation if pre_activation else None,
        source_position=source,
        source_dfa=dfa[source],
        prefix_length=exact,
        prefix_length_fuzzy=fuzzy,
        residual=feature.residual,
    )
    fires = {at: value for at, value in enumerate(feature.activation) if value > 0}
    return Pair(
        example,
        make_window(views, source, {at: value for at, value in enumerate(dfa) if abs(value) >= least}, exact),
        make_window(views, dest + 1, fires, exact),
    )
