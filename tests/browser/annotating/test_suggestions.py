"""`Y` on heads whose evidence is several things at once: one name for one behaviour, and nothing from sinks."""

from dataclasses import replace

import numpy as np
import pytest

from app.domain.evidence import KINDS
from app.domain.refs import HeadRef
from tests.support.annotation_page import HEAD, NEXT, RUN, labels, press, wait_until_stored
from tests.support.run_data import store_with

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# What 20 top examples show through L0H0 and L0H1: the second reads one place, before which most of them fire.
COUNTS = {"induction": (19, 0), "copying": (20, 0), "same_token": (12, 0), "previous_token": (11, 16)}


def showing(feature, long):
    """The feature with these counts, and with so many long prefixes of its sources through L0H0."""
    if feature.ref.layer or feature.examples is None:
        return feature
    examples, n = feature.examples, len(feature.examples)
    prefix, source, position = (
        part.copy() for part in (examples.prefix_length, examples.source, examples.position)
    )
    prefix[:20, 0] = [2] * long + [1] * (19 - long) + [0]
    prefix[:20, 1:] = 1
    position[: min(20, n)] = np.arange(20)[: min(20, n)] % 4 + 5
    source[:20, 0, 0] = position[:20] - 2
    source[:20, 1, 0] = 4
    counts = {kind: np.array([*COUNTS.get(kind, (0, 0)), 0]) for kind in KINDS}
    evidence = replace(feature.evidence, counts=counts, n_examples=20)
    examples = replace(examples, prefix_length=prefix, source=source, position=position)
    return replace(feature, examples=examples, evidence=evidence)


@pytest.fixture
def scores():
    return {"induction": 0.5}


@pytest.fixture
def store(sqlite_template, tmp_path, scores):
    heads = [
        replace(head, scores=head.scores | scores) if head.ref == HeadRef(0, 0) else head
        for head in RUN.heads
    ]
    features = {ref: showing(feature, 12 + ref.index % 6) for ref, feature in RUN.features.items()}
    return store_with(sqlite_template, tmp_path, replace(RUN, heads=heads, features=features))


def accepted(tab, path):
    tab.go(path)
    press(tab.page, "Y", "]")
    wait_until_stored(tab.page)
    return set(labels(tab.page, path))


def test_one_behaviour_gets_one_name_and_a_place_that_is_always_read_gets_none(tab):
    assert accepted(tab, HEAD) == {"long-prefix induction"}
    assert accepted(tab, NEXT) == {None}


@pytest.mark.parametrize("scores", [{"induction": 0.01}])
def test_without_attention_to_copies_long_prefixes_are_the_texts_own(tab, scores):
    assert accepted(tab, HEAD) == {"induction"}
