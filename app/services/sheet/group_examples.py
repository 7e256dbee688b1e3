"""One example of each group of a head as text: one that the annotator cited, else the strongest."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from app.domain.annotations.names import normalised
from app.domain.annotations.records import HeadAnnotation
from app.domain.records import FeatureRecord
from app.domain.refs import FeatureRef, HeadRef
from app.services.examples.from_records import Sequences
from app.services.examples.texts import make_example, make_pair
from app.services.examples.through_head import view_through
from app.services.reading.context import AtlasContext
from app.services.sheet.attention_examples import attention_group_examples
from app.services.sheet.publication_models import GroupExample
from app.services.sheet.window_text import window_text
from app.store.atlas.features import stored_features
from app.store.atlas.reads import get_texts


@dataclass(frozen=True)
class _Place:
    """Where an example is: a row of the feature's stored examples."""

    group: str
    feature: FeatureRef
    index: int


def group_examples(
    context: AtlasContext, contents: Mapping[HeadRef, HeadAnnotation]
) -> dict[HeadRef, tuple[GroupExample, ...]]:
    """An example of each group of these heads, in two queries; a group whose features are not stored has none.

    Heads without features take two queries more.
    """
    of_examples = attention_group_examples(context, contents)
    contents = {head: content for head, content in contents.items() if not content.of_examples}
    features = {ref for content in contents.values() for ref in _candidates(content)}
    stored = stored_features(context.session, context.run, sorted(features), with_examples=True)
    places = {head: _places(content, stored) for head, content in contents.items()}
    indices = {
        int(examples.sequence[place.index])
        for of_head in places.values()
        for place in of_head
        if (examples := stored[place.feature].examples) is not None
    }
    sequences = get_texts(context.session, context.run, indices) if indices else {}
    return of_examples | {
        head: tuple(_example(context, head, place, stored[place.feature], sequences) for place in of_head)
        for head, of_head in places.items()
    }


def _candidates(content: HeadAnnotation) -> list[FeatureRef]:
    """The features that examples may come from: those of cited examples, and each group's strongest."""
    top = content.labels[: content.k]
    strongest = {normalised(label.group): label.feature for label in reversed(top) if label.group}
    chosen = {feature for feature, _, _ in _cited(content)} | set(strongest.values())
    return [
        label.feature for label in top if isinstance(label.feature, FeatureRef) and label.feature in chosen
    ]


def _cited(content: HeadAnnotation) -> list[tuple[FeatureRef, int, int]]:
    """(feature, sequence, position) of the examples that the annotation cites."""
    refs = (label.feature for label in content.labels)
    features = {str(ref): ref for ref in refs if isinstance(ref, FeatureRef)}
    places: list[tuple[FeatureRef, int, int]] = []
    for link in content.evidence:
        name, *numbers = link.target.split(":")
        plain = len(numbers) == 2 and all(part.isdecimal() and len(part) <= 9 for part in numbers)
        if link.kind == "example" and name in features and plain:
            places.append((features[name], int(numbers[0]), int(numbers[1])))
    return places


def _places(content: HeadAnnotation, stored: Mapping[FeatureRef, FeatureRecord]) -> list[_Place]:
    top = content.labels[: content.k]
    places: list[_Place] = []
    for name, _ in content.computed.groups:
        members = [
            label.feature
            for label in top
            if isinstance(label.feature, FeatureRef)
            and label.group
            and normalised(label.group) == normalised(name)
        ]
        cited = (
            _Place(name, feature, index)
            for feature, sequence, position in _cited(content)
            if feature in members and feature in stored
            for index in _rows(stored[feature], sequence, position)
        )
        first = (
            _Place(name, feature, 0)
            for feature in members
            if feature in stored and stored[feature].examples is not None and len(stored[feature].groups)
        )
        place = next(cited, None) or next(first, None)
        if place is not None:
            places.append(place)
    return places


def _rows(record: FeatureRecord, sequence: int, position: int) -> list[int]:
    examples = record.examples
    if examples is None:
        return []
    return np.flatnonzero((examples.sequence == sequence) & (examples.position == position)).tolist()


def _example(
    context: AtlasContext, head: HeadRef, place: _Place, record: FeatureRecord, sequences: Sequences
) -> GroupExample:
    examples = record.examples
    if examples is None:
        raise ValueError(f"{place.feature} was read without its examples")
    view = view_through(examples, head.head)
    example = make_example(examples, view, place.index, "top")
    text = sequences[example.sequence]
    pair = make_pair(example, examples, view, place.index, text, context.vocabulary, "token")
    return GroupExample(
        group=place.group,
        feature=place.feature,
        sequence=example.sequence,
        position=example.position,
        fires=window_text(pair.fires),
        reads=window_text(pair.reads),
        document=pair.document,
    )
