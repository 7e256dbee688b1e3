"""What a head attends to, read from the store in two queries beyond those of every page."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.attention import (
    N_SHOWN_EXAMPLES,
    SINK_ATTENTION,
    HeadAttention,
    SinkTokens,
    TokenShares,
    fewest_destinations,
)
from app.domain.documents import CorpusText
from app.domain.evidence import prefix_lengths
from app.domain.refs import HeadRef
from app.domain.tokens import Vocabulary
from app.errors import NotFound
from app.services.examples.from_records import make_group, summarise_run
from app.services.examples.models import ShownToken
from app.services.examples.texts import make_window
from app.services.heads.attention_models import (
    AttentionEvidence,
    AttentionExample,
    AttentionPage,
    AttentionPair,
    AttentionPicture,
    DistanceShare,
    SinkToken,
    SourceWeight,
    TokenShare,
)
from app.services.heads.neighbours import neighbour
from app.services.reading.context import AtlasContext, check_head
from app.store.atlas.attention import get_attention
from app.store.atlas.reads import get_texts

N_TOKENS = 10


@dataclass(frozen=True)
class AttentionQuestion:
    """Parameters of the page: the group of examples shown, and the example whose pattern is drawn."""

    head: HeadRef
    group: int = 0
    example: int = 0


def attention_page(context: AtlasContext, question: AttentionQuestion) -> AttentionPage:
    """The page of what a head attends to. Raises NotFound for a head, group or picture that is not there."""
    check_head(context.run, question.head)
    return AttentionPage(
        model=context.run.slug,
        head=question.head,
        run=summarise_run(context.run.record),
        evidence=attention_evidence(context, question),
        previous=neighbour(context.run, question.head, -1),
        next=neighbour(context.run, question.head, 1),
    )


def attention_evidence(context: AtlasContext, question: AttentionQuestion) -> AttentionEvidence | None:
    """What the head attends to; None where its run does not keep it."""
    attention = get_attention(context.session, context.run, question.head)
    if attention is None:
        return None
    if question.group >= max(len(attention.groups), 1):
        raise NotFound(f"{question.head} has no group of examples {question.group}")
    if question.example >= max(len(attention.pictures), 1):
        raise NotFound(f"no pattern is stored of example {question.example} of {question.head}")
    indices = _first_examples(attention, question.group)
    drawn = [question.example] if len(attention.pictures) else []
    sequence_ids = {int(attention.examples.sequence[index]) for index in (*indices, *drawn)}
    texts = get_texts(context.session, context.run, sequence_ids)
    vocabulary, context_size = context.vocabulary, context.run.record.context_size
    bos = context.run.record.model.bos_token_id
    return AttentionEvidence(
        n_destinations=attention.n_destinations,
        sink_share=attention.sink_share,
        first_sink_share=attention.first_sink_share,
        sink_attention=SINK_ATTENTION,
        fewest_destinations=fewest_destinations(context_size),
        sinks=_sinks(attention.sinks, vocabulary),
        distances=distance_shares(attention.distance),
        read=_tokens(attention.read, vocabulary),
        read_from=_tokens(attention.read_from, vocabulary),
        groups=tuple(make_group(group) for group in attention.groups),
        examples=tuple(
            _example(attention, index, group.name)
            for group in attention.groups
            for index in range(group.start, group.stop)
        ),
        group=question.group,
        pairs=tuple(
            _pair(attention, index, attention.groups[question.group].name, texts, vocabulary, bos)
            for index in indices
        ),
        largest=float(attention.examples.weight.max(initial=0)),
        picture=_picture(attention, question.example, texts, vocabulary) if drawn else None,
    )


def _first_examples(attention: HeadAttention, group: int) -> Sequence[int]:
    if not attention.groups:
        return ()
    part = attention.groups[group]
    return range(part.start, min(part.stop, part.start + N_SHOWN_EXAMPLES))


def distance_shares(distance: NDArray[np.float64]) -> tuple[DistanceShare, ...]:
    """The share of attention by distance to the source: 0, 1, then octaves (2, 3 to 4, 5 to 8, ...)."""
    shares: list[DistanceShare] = []
    lower, upper = 0, 0
    while lower < len(distance):
        last = min(upper, len(distance) - 1)
        shares.append(DistanceShare(lower, last, float(distance[lower : last + 1].sum())))
        lower, upper = upper + 1, max(1, 2 * upper)
    return tuple(shares)


def _token(token_id: int, vocabulary: Vocabulary) -> ShownToken:
    view = vocabulary.view(token_id)
    return ShownToken(view.token_id, view.text, view)


def _tokens(shares: TokenShares, vocabulary: Vocabulary) -> tuple[TokenShare, ...]:
    columns = zip(shares.token_id.tolist(), shares.share.tolist(), shares.base_rate.tolist(), strict=True)
    return tuple(
        TokenShare(**vars(_token(token_id, vocabulary)), share=share, base_rate=base_rate)
        for token_id, share, base_rate in columns
    )[:N_TOKENS]


def _sinks(sinks: SinkTokens, vocabulary: Vocabulary) -> tuple[SinkToken, ...]:
    columns = zip(sinks.token_id.tolist(), sinks.n.tolist(), sinks.share.tolist(), strict=True)
    return tuple(
        SinkToken(**vars(_token(token_id, vocabulary)), n=n, share=share) for token_id, n, share in columns
    )


def _example(attention: HeadAttention, index: int, group: str) -> AttentionExample:
    columns = attention.examples
    slots = zip(columns.source[index].tolist(), columns.weight[index].tolist(), strict=True)
    return AttentionExample(
        group=group,
        sequence=int(columns.sequence[index]),
        position=int(columns.position[index]),
        sources=tuple(SourceWeight(source, weight) for source, weight in slots if source >= 0),
        rest=float(columns.rest[index]),
        sink=float(columns.sink[index]),
        n_alike=None if columns.n_alike is None else int(columns.n_alike[index]),
    )


def _pair(
    attention: HeadAttention,
    index: int,
    group: str,
    texts: dict[int, CorpusText],
    vocabulary: Vocabulary,
    bos: int,
) -> AttentionPair:
    """One example as two aligned windows: around its strongest source, and around the destination."""
    example = _example(attention, index, group)
    text = texts[example.sequence]
    tokens = text.tokens
    views = vocabulary.sequence_views(tokens)
    source = example.sources[0].position
    row, dest, start = np.zeros(1, np.int64), np.asarray([example.position]), np.asarray([source])
    n_matched = int(prefix_lengths(tokens[None], row, dest, start, bos)[0])
    weights = {each.position: each.weight for each in example.sources}
    return AttentionPair(
        number=index,
        example=example,
        reads=make_window(views, source, weights, n_matched),
        attends=make_window(views, example.position + 1, {}, n_matched),
        prefix_length=n_matched,
        has_picture=index < len(attention.pictures),
        document=text.document_at(example.position),
    )


def _picture(
    attention: HeadAttention, index: int, texts: dict[int, CorpusText], vocabulary: Vocabulary
) -> AttentionPicture:
    levels = attention.pictures[index]
    position = int(attention.examples.position[index])
    text = texts[int(attention.examples.sequence[index])]
    n_rows, n_columns = (min(size, position + 1) for size in levels.shape)
    token_views = [
        _token(int(token), vocabulary) for token in text.tokens[position + 1 - n_columns : position + 1]
    ]
    return AttentionPicture(
        number=index,
        levels=tuple(tuple(row) for row in levels[-n_rows:, -n_columns:].tolist()),
        destinations=tuple(token_views[-n_rows:]),
        sources=tuple(token_views),
        position=position,
        document=text.document_at(position),
    )
