"""Examples as two aligned text windows: around the source token, and around the firing token."""

from collections.abc import Mapping, Sequence

import numpy as np

from app.domain.documents import CorpusText
from app.domain.records import Examples
from app.domain.tokens import TokenView, Vocabulary
from app.domain.windows import CHARACTERS_AFTER, CHARACTERS_BEFORE
from app.services.examples.models import Align, Cell, Example, Pair, TextWindow
from app.services.examples.through_head import ExamplesThroughHead


def _width(view: TokenView) -> int:
    return sum(len(part.text) for part in view.parts)


def _span(views: Sequence[TokenView], anchor: int) -> tuple[int, int]:
    """(start, stop) of the tokens around the anchor that fit into the window."""
    start, room = anchor, CHARACTERS_BEFORE
    while start > 0 and room > 0:
        start -= 1
        room -= _width(views[start])
    stop, room = anchor, CHARACTERS_AFTER
    while stop < len(views) and room > 0:
        room -= _width(views[stop])
        stop += 1
    return start, stop


def make_window(
    views: Sequence[TokenView],
    anchor: int,
    values: Mapping[int, float],
    n_matched: int,
    source_before: bool = False,
    whole: bool = False,
) -> TextWindow:
    """The text window around the anchor, or with `whole` all of the text.

    anchor: index of the first token after the alignment point. n_matched: length of the matched prefix, which
    ends at the anchor. source_before: the source token is the last one before the anchor, and the prefix ends
    before it.
    """
    start, stop = (0, len(views)) if whole else _span(views, anchor)
    end = anchor - source_before

    def cell(index: int) -> Cell:
        view = views[index]
        return Cell(view.token_id, view.text, view, values.get(index), end - n_matched <= index < end)

    return TextWindow(
        tuple(cell(index) for index in range(start, anchor)),
        tuple(cell(index) for index in range(anchor, stop)),
        source_before,
    )


def make_example(examples: Examples, view: ExamplesThroughHead, index: int, group: str) -> Example:
    """The numbers of one example, as seen in this view."""
    return make_examples(examples, view, slice(index, index + 1), group)[0]


def make_examples(examples: Examples, view: ExamplesThroughHead, rows: slice, group: str) -> list[Example]:
    """The numbers of the examples of these rows, as seen in this view."""
    pre_activations, contributions = examples.pre_activation[rows].tolist(), view.contribution[rows].tolist()
    sources = view.source[rows, 0].tolist()
    alike = examples.n_alike
    columns = zip(
        examples.sequence[rows].tolist(),
        examples.position[rows].tolist(),
        examples.activation[rows].tolist(),
        pre_activations,
        contributions,
        [of / all_ if all_ else None for of, all_ in zip(contributions, pre_activations, strict=True)],
        [source if source >= 0 else None for source in sources],
        [
            dfa if source >= 0 else None
            for dfa, source in zip(view.dfa[rows, 0].tolist(), sources, strict=True)
        ],
        view.prefix_length[rows].tolist(),
        view.prefix_length_fuzzy[rows].tolist(),
        examples.residual[rows].tolist(),
        [None] * len(sources) if alike is None else alike[rows].tolist(),
        strict=True,
    )
    return [Example(group, *values) for values in columns]


def make_pair(
    example: Example,
    examples: Examples,
    view: ExamplesThroughHead,
    index: int,
    text: CorpusText,
    vocabulary: Vocabulary,
    align: Align = "prefix",
    whole: bool = False,
) -> Pair:
    """The example's two text windows: around the source token, and around the firing token.

    align="prefix" ends a repeated text at both anchors; align="token" puts source and firing token themselves
    there.
    """
    views, document = vocabulary.sequence_views(text.tokens), text.document_at(example.position)
    activations = examples.sequence_activations[index]
    active = {int(at): float(activations[at]) for at in np.flatnonzero(activations > 0)}
    # The float16 column rounds; the firing token shows the value that the page prints.
    active[example.position] = example.activation
    n_matched = example.prefix_length
    fires = make_window(views, example.position + 1, active, n_matched, whole=whole)
    if example.source_position is None:
        return Pair(example, TextWindow((), ()), fires, document)
    slots = zip(view.source[index], view.dfa[index], strict=True)
    read = {int(source): float(dfa) for source, dfa in slots if source >= 0}
    by_token = align == "token"
    anchor = example.source_position + by_token
    reads = make_window(views, anchor, read, n_matched, by_token, whole)
    return Pair(example, reads, fires, document)
