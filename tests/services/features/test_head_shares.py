"""Each head's part in a feature, against slow loops over the stored examples."""

from dataclasses import replace

import numpy as np
import pytest

from app.domain.records import Examples, FeatureRecord
from app.services.features.head_shares import head_shares
from tests.support.record_data import random_record

N_TOP, N_HEADS = 7, 3


@pytest.fixture
def feature() -> FeatureRecord:
    """Random DFA of both signs; the top group is the first seven of ten examples."""
    rng = np.random.default_rng(11)
    drawn: FeatureRecord = random_record(FeatureRecord, rng, {"n": 10, "heads": N_HEADS, "context": 9})
    top = replace(drawn.groups[0], name="top", start=0, stop=N_TOP)
    dfa = -np.sort(-rng.normal(size=(10, N_HEADS, 8)), axis=-1).astype(np.float32)
    examples = replace(drawn.examples, dfa=dfa, dfa_rest=rng.normal(size=(10, N_HEADS)).astype(np.float32))
    return replace(
        drawn, groups=(top, replace(top, name="interval 1", start=N_TOP, stop=10)), examples=examples
    )


def examples_of(feature: FeatureRecord) -> Examples:
    assert feature.examples is not None
    return feature.examples


def slow_share(feature: FeatureRecord, head: int) -> float | None:
    examples, shares = examples_of(feature), []
    for example in range(N_TOP):
        sources = [float(dfa) for dfa in examples.dfa[example, head] if dfa > 0]
        total = sum(sources) + max(float(examples.dfa_rest[example, head]), 0.0)
        if total > 0:
            shares.append(max(sources, default=0.0) / total)
    return sum(shares) / len(shares) if shares else None


def test_the_share_of_the_strongest_source_is_that_of_a_slow_loop(feature: FeatureRecord) -> None:
    shares = [part.top_source_share for part in head_shares(feature)]
    assert shares == pytest.approx([slow_share(feature, head) for head in range(N_HEADS)])
    assert len({round(share or 0.0, 6) for share in shares}) == N_HEADS


def test_examples_without_positive_dfa_are_left_out(feature: FeatureRecord) -> None:
    examples = examples_of(feature)
    dfa, rest = examples.dfa.copy(), examples.dfa_rest.copy()
    dfa[1:N_TOP, 0], rest[1:N_TOP, 0] = -1, 0
    dfa[0, 0], rest[0, 0] = [3, 1, 0, 0, 0, 0, 0, -5], 2
    dfa[:N_TOP, 1], rest[:N_TOP, 1] = -1, 0
    parts = head_shares(replace(feature, examples=replace(examples, dfa=dfa, dfa_rest=rest)))
    assert parts[0].top_source_share == 0.5
    assert parts[1].top_source_share is None


def test_one_source_alone_has_all_of_it(feature: FeatureRecord) -> None:
    examples = examples_of(feature)
    dfa = np.zeros_like(examples.dfa)
    dfa[:, :, 0] = 0.25
    alone = replace(examples, dfa=dfa, dfa_rest=np.zeros_like(examples.dfa_rest))
    assert [part.top_source_share for part in head_shares(replace(feature, examples=alone))] == [
        1.0
    ] * N_HEADS


def test_without_examples_there_is_no_share(feature: FeatureRecord) -> None:
    empty = replace(feature.groups[0], start=0, stop=0)
    for without in (
        replace(feature, examples=None),
        replace(feature, groups=()),
        replace(feature, groups=(empty,)),
    ):
        assert {part.top_source_share for part in head_shares(without)} == {None}
