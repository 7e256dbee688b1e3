"""Heads side by side, against the stored records by slow loops."""

import pytest

from app.domain.records import Ranking
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services.compare.nearest import N_NEAREST, nearest_heads
from app.services.compare.page import N_FEATURES_SHOWN, N_PAIRS, compare_page
from app.services.reading.context import AtlasContext
from tests.support.run_data import StoredRun

HEADS = (HeadRef(0, 1), HeadRef(0, 3))


def top_ten(run: StoredRun, head: HeadRef, ranking: Ranking) -> list[FeatureRef]:
    return [place.ref for place in run.rankings[head, ranking].features[:10]]


@pytest.mark.parametrize("rank", ["decoder_weight", "fve"])
def test_features_are_those_of_the_top_tens_with_shared_ones_first(
    context: AtlasContext, run: StoredRun, rank: Ranking
) -> None:
    page = compare_page(context, HEADS, rank)
    lists = [top_ten(run, head, rank) for head in HEADS]
    shared = [feature.feature for feature in page.features if feature.in_all]
    assert set(shared) == set(lists[0]) & set(lists[1])
    assert 0 < len(shared) < 10
    assert [feature.in_all for feature in page.features] == sorted(
        (feature.in_all for feature in page.features), reverse=True
    )
    assert {feature.feature for feature in page.features} == {*lists[0], *lists[1]}
    assert len(page.features) == len({*lists[0], *lists[1]})
    for feature in page.features:
        record = run.features[feature.feature]
        assert record.fve_active is not None
        for i, head in enumerate(HEADS):
            place = lists[i].index(feature.feature) + 1 if feature.feature in lists[i] else None
            assert feature.ranks[i] == place
            assert feature.decoder_weight_shares[i] == record.decoder_weight_share[head.head]
            assert feature.fve[i] == record.fve_active.covariance_share[head.head]


def test_examples_are_the_strongest_through_each_head(context: AtlasContext, run: StoredRun) -> None:
    page = compare_page(context, HEADS)
    assert [part.head for part in page.heads] == list(HEADS)
    for part in page.heads:
        expected = top_ten(run, part.head, "decoder_weight")[:N_FEATURES_SHOWN]
        assert [shown.feature for shown in part.strongest] == expected
        for shown in part.strongest:
            stored = run.features[shown.feature].examples
            assert stored is not None
            assert len(shown.pairs) == N_PAIRS
            for i, pair in enumerate(shown.pairs):
                assert pair.example.activation == pytest.approx(stored.activation[i])
                assert pair.example.source_position == stored.source[i, part.head.head, 0]


def test_scores_stand_beside_each_other(context: AtlasContext, run: StoredRun) -> None:
    heads = (HeadRef(0, 1), HeadRef(1, 2), HeadRef(2, 0))
    page = compare_page(context, heads)
    stored = {head.ref: head for head in run.heads}
    assert [score.name for score in page.scores][:2] == ["induction", "previous_token"]
    for score in page.scores:
        if score.name == "concentration":
            expected = [stored[head].concentration for head in heads]
        else:
            expected = [stored[head].scores[score.name] for head in heads]
            assert len(score.values) == len(run.heads)
        assert list(score.by_head) == expected
    # The middle one's layer has no SAE.
    assert [part.has_sae for part in page.heads] == [True, False, True]
    assert page.heads[1].strongest == ()


def test_heads_of_different_layers_share_no_feature(context: AtlasContext) -> None:
    page = compare_page(context, (HeadRef(0, 1), HeadRef(2, 0)))
    assert page.features
    for feature in page.features:
        assert not feature.in_all
        other = 1 if feature.feature.layer == 0 else 0
        assert feature.decoder_weight_shares[other] is None
        assert feature.fve[other] is None
        assert feature.decoder_weight_shares[1 - other] is not None


def test_neighbours_of_the_last_head_skip_those_that_are_compared(context: AtlasContext) -> None:
    page = compare_page(context, (HeadRef(0, 2), HeadRef(0, 1)))
    assert (page.previous, page.next) == (HeadRef(0, 0), HeadRef(0, 3))
    assert page.others == (HeadRef(0, 0), HeadRef(0, 3))
    page = compare_page(context, (HeadRef(0, 1), HeadRef(0, 3)))
    assert (page.previous, page.next) == (HeadRef(0, 2), None)


def test_none_and_one_are_pages_to_choose_from(context: AtlasContext) -> None:
    nothing = compare_page(context, ())
    assert (nothing.heads, nothing.scores, nothing.features, nothing.others) == ((), (), (), ())
    one = compare_page(context, (HeadRef(0, 1),))
    assert len(one.features) == 10
    assert not any(feature.in_all for feature in one.features)
    assert len(one.others) == 3


def test_what_cannot_be_compared_is_refused(context: AtlasContext) -> None:
    with pytest.raises(NotFound, match="L7H0"):
        compare_page(context, (HeadRef(0, 0), HeadRef(7, 0)))
    with pytest.raises(ValueError, match="5 heads"):
        compare_page(context, [HeadRef(0, i % 4) for i in range(5)])


def test_one_head_has_its_nearest_and_none_the_first_by_each_score(
    context: AtlasContext, run: StoredRun
) -> None:
    one = compare_page(context, HEADS[:1])
    assert one.nearest == nearest_heads(run.heads, HEADS[0])
    assert (len(one.nearest), one.leading) == (N_NEAREST, ())
    nothing = compare_page(context, ())
    assert nothing.nearest == ()
    assert [row.score for row in nothing.leading][:3] == ["induction", "previous_token", "duplicate_token"]
    for row in nothing.leading:
        assert row.value == max(head.scores[row.score] for head in run.heads)
        assert row.nearest == nearest_heads(run.heads, row.head)[0]
    two = compare_page(context, HEADS)
    assert (two.nearest, two.leading) == ((), ())
