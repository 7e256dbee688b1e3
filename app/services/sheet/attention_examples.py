"""One example of each group of a head without features: one that the annotator cited, else the strongest."""

from collections.abc import Mapping

import numpy as np

from app.domain.annotations.names import normalised
from app.domain.annotations.records import HeadAnnotation
from app.domain.attention import HeadAttention
from app.domain.refs import ExampleRef, HeadRef
from app.services.examples.from_records import Sequences
from app.services.examples.texts import make_window
from app.services.reading.context import AtlasContext
from app.services.sheet.publication_models import GroupExample
from app.services.sheet.window_text import window_text
from app.store.atlas.attention import attention_of_heads
from app.store.atlas.reads import get_texts


def attention_group_examples(
    context: AtlasContext, contents: Mapping[HeadRef, HeadAnnotation]
) -> dict[HeadRef, tuple[GroupExample, ...]]:
    """An example of each group of examples of these heads, in two queries; none where the run does not keep it."""
    members = {head: _members(content) for head, content in contents.items() if content.of_examples}
    if not members:
        return {}
    attention = {each.ref: each for each in attention_of_heads(context.session, context.run, members)}
    wanted = {ref.sequence for groups in members.values() for refs in groups.values() for ref in refs}
    sequences = get_texts(context.session, context.run, wanted)
    return {
        head: tuple(
            example
            for name, refs in groups.items()
            if (example := _first_stored(context, attention[head], name, refs, sequences))
        )
        for head, groups in members.items()
        if head in attention
    }


def _members(content: HeadAnnotation) -> dict[str, list[ExampleRef]]:
    """The examples of each group, largest group first; cited examples before others, else strongest first."""
    cited = {link.target for link in content.evidence if link.kind == "example"}
    members: dict[str, list[ExampleRef]] = {}
    for name, _ in content.computed.groups:
        refs = [
            label.feature
            for label in content.labels[: content.k]
            if isinstance(label.feature, ExampleRef)
            and label.group is not None
            and normalised(label.group) == normalised(name)
        ]
        members[name] = sorted(refs, key=lambda ref: str(ref) not in cited)
    return members


def _first_stored(
    context: AtlasContext, attention: HeadAttention, name: str, refs: list[ExampleRef], sequences: Sequences
) -> GroupExample | None:
    """The first of the examples that the run stores, with its text; None if it stores none of them."""
    for ref in refs:
        columns = attention.examples
        rows = np.flatnonzero((columns.sequence == ref.sequence) & (columns.position == ref.position))
        if len(rows) and ref.sequence in sequences:
            text = sequences[ref.sequence]
            views = context.vocabulary.sequence_views(text.tokens)
            source = int(columns.source[rows[0], 0])
            return GroupExample(
                group=name,
                feature=None,
                sequence=ref.sequence,
                position=ref.position,
                fires=window_text(make_window(views, ref.position + 1, {}, 0)),
                reads=window_text(make_window(views, source + 1, {}, 0)),
                document=text.document_at(ref.position),
            )
    return None
