"""Agreement against values worked out by hand, and everything that has no value."""

from itertools import product

import numpy as np
import pytest

from app.domain.annotations.head_types import HEAD_TYPES
from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.rollups.agreement import Opinion, TypePair, agreement, jaccard, nominal_alpha
from app.services.rollups.rollup import agree
from tests.support.annotated_atlas import NOW, labelled
from tests.support.annotating import Team
from tests.support.rollups import roll_up

MONO, POLY = HEAD_TYPES[0], HEAD_TYPES[3]


def typed(*types, roles=()):
    """One record a head; None: not annotated."""
    return {
        HeadRef(0, i): HeadAnnotation(override=head_type, override_reason="x", roles=roles)
        for i, head_type in enumerate(types)
        if head_type
    }


def alpha_by_definition(counts):
    """1 - observed / expected disagreement over all pairable values."""
    counts = np.array([row for row in counts if sum(row) >= 2], float)
    n = counts.sum()
    observed = sum(
        row[a] * row[b] / (row.sum() - 1)
        for row in counts
        for a, b in product(range(len(row)), repeat=2)
        if a != b
    )
    totals = counts.sum(0)
    expected = sum(totals[a] * totals[b] for a, b in product(range(len(totals)), repeat=2) if a != b) / (
        n - 1
    )
    return 1 - observed / expected


def test_alpha_is_that_of_its_definition():
    rng = np.random.default_rng(1)
    for _ in range(20):
        counts = rng.integers(0, 3, (12, 5))
        assert nominal_alpha(counts) == pytest.approx(alpha_by_definition(counts))


def test_total_agreement_is_one_and_total_disagreement_is_below_zero():
    same = {"ada": typed(MONO, POLY), "ben": typed(MONO, POLY)}
    assert agreement(same).head_type.value == pytest.approx(1)
    crossed = {"ada": typed(MONO, POLY), "ben": typed(POLY, MONO)}
    assert agreement(crossed).head_type.value < 0


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"ada": {}},
        {"ada": typed(MONO, POLY)},  # one annotator
        {"ada": typed(MONO, MONO), "ben": typed(MONO, MONO)},  # all the same
        {"ada": typed(MONO, None), "ben": typed(None, POLY)},  # no overlap
        {"ada": typed(MONO), "ben": {HeadRef(0, 0): labelled(0, "a", None)}},  # one of them provisional
    ],
)
def test_d17_what_is_undefined_is_not_available(given):
    found = agreement(given)
    assert (found.head_type.value, found.head_type.low, found.head_type.high) == (None, None, None)
    assert found.head_type.reason
    assert (found.roles.value, found.roles.low) == (None, None)
    assert found.roles.reason


def test_d17_one_head_has_a_value_and_no_interval():
    found = agreement({"ada": typed(MONO), "ben": typed(POLY)}).head_type
    assert (found.value, found.low, found.high, found.n_heads) == (pytest.approx(0), None, None, 1)


def test_intervals_hold_the_value_and_depend_on_the_seed_alone():
    rng = np.random.default_rng(3)
    truth = [HEAD_TYPES[i] for i in rng.integers(0, 5, 40)]
    noisy = [HEAD_TYPES[rng.integers(0, 5)] if rng.random() < 0.3 else t for t in truth]
    given = {"ada": typed(*truth), "ben": typed(*noisy)}
    first = agreement(given, seed=1, n_resamples=200)
    assert first == agreement(given, seed=1, n_resamples=200)
    assert first.head_type.low < first.head_type.value < first.head_type.high
    assert agreement(given, seed=2, n_resamples=200).head_type.low != first.head_type.low


def test_the_overlap_of_roles_is_the_mean_over_pairs():
    given = {
        "ada": typed(MONO, roles=("induction", "copying")),
        "ben": typed(MONO, roles=("induction",)),
        "cyd": typed(MONO, roles=()),
    }
    assert agreement(given).roles.value == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert jaccard(set(), set()) is None


def test_disagreements_and_confusion():
    given = {"ada": typed(MONO, POLY, MONO), "ben": typed(POLY, POLY, MONO)}
    found = agreement(given)
    assert [str(entry.head) for entry in found.disagreements] == ["L0H0"]
    assert found.disagreements[0].opinions == (Opinion("ada", MONO, ()), Opinion("ben", POLY, ()))
    assert found.confusion == (TypePair(MONO, MONO, 1), TypePair(MONO, POLY, 1), TypePair(POLY, POLY, 1))


def test_the_roll_up_of_an_atlas_by_hand(engine):
    team = Team(engine, ada={}, ben={}, root={"role": "admin"})
    team.save("ada", labelled(0, *"a" * 10, surprising=True), HeadRef(0, 0))
    team.save("ada", labelled(0, *"a" * 9, "b"), HeadRef(0, 1))
    team.save("ada", labelled(2, *"b" * 5, *"c" * 5), HeadRef(2, 3))
    team.save("ada", labelled(2, *"d" * 10), HeadRef(2, 0), status="unsure")
    team.save("ben", labelled(0, *"a" * 10), HeadRef(0, 0))
    team.save("ben", labelled(0, *"abcde" * 2), HeadRef(0, 1))
    team.save("root", labelled(0, *"a" * 10), HeadRef(0, 1), for_consensus=True)
    found = team.view(roll_up, team["root"], "ada")
    counts = {row.head_type: (row.count, row.total) for row in found.tally.rows}
    assert counts == {
        "monosemantic": (1, 3),
        "minor_exceptions": (1, 3),
        "bisemantic": (1, 3),
        "polysemantic": (0, 3),
        "unclear": (0, 3),
    }
    assert (found.n_heads, found.n_submitted, found.n_surprising) == (12, 3, 1)
    assert found.novel == {HeadRef(0, 0): ("a",), HeadRef(0, 1): ("b",), HeadRef(2, 3): ("c",)}
    assert [row.n_heads for row in found.layers] == [2, 0, 1]
    assert len(found.sensitivity) == 6
    by_weight = {row.k: row.tally for row in found.sensitivity if row.ranking == "decoder_weight"}
    assert by_weight[5].total + by_weight[5].n_provisional == 3
    agreed = team.view(agree, team["root"])
    assert agreed.annotators == ("ada", "ben")
    assert agreed.head_type.n_heads == 2
    assert team.view(roll_up, team["root"], "consensus").n_submitted == 1
    assert NOW.tzinfo is not None
