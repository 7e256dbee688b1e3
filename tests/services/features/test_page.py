"""A feature's examples: aligned by token, in full, and counted, against the stored columns by slow loops."""

import pytest

from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services.features.figure_models import DISTANCES
from app.services.features.figures import example_figures
from app.services.features.page import ExamplePosition, feature_page, whole_example
from app.services.heads.page import HeadQuestion, head_page
from app.services.reading.context import AtlasContext
from tests.support.run_data import StoredRun

REF, HEAD = FeatureRef(0, 3), HeadRef(0, 2)


def test_aligned_by_token_the_source_ends_at_the_hinge(context: AtlasContext, run: StoredRun) -> None:
    by_prefix = feature_page(context, REF, HEAD)
    by_token = feature_page(context, REF, HEAD, "token")
    n_matched = 0
    for left, right in zip(by_prefix.groups, by_token.groups, strict=True):
        for prefix, token in zip(left.pairs, right.pairs, strict=True):
            assert prefix.fires == token.fires
            tokens = run.sequences[token.example.sequence]
            source = token.example.source_position
            assert source is not None
            assert prefix.reads.after[0].token_id == token.reads.before[-1].token_id == tokens[source]
            assert (prefix.reads.source_before, token.reads.source_before) == (False, True)
            matched = [cell.matched for cell in token.reads.before]
            assert not matched[-1]
            shown = min(token.example.prefix_length, len(matched) - 1)
            assert sum(matched) == shown
            n_matched += shown
    assert n_matched > 0


def test_rows_of_a_head_follow_the_alignment(context: AtlasContext) -> None:
    page = head_page(context, HeadQuestion(HEAD, align="token"))
    assert page.align == "token"
    for row in page.features:
        assert row.strongest is not None
        assert row.strongest.reads.source_before
    assert page.features[0].opened is not None
    assert all(pair.reads.source_before for pair in page.features[0].opened.pairs)


def test_a_whole_example_is_the_whole_sequence(context: AtlasContext, run: StoredRun) -> None:
    stored = run.features[REF].examples
    assert stored is not None
    for index in (0, 25):
        place = ExamplePosition(int(stored.sequence[index]), int(stored.position[index]))
        found = whole_example(context, REF, HEAD, "prefix", place)
        assert feature_page(context, REF, HEAD, whole=place).whole == found.whole
        tokens = run.sequences[place.sequence].tolist()
        for strip in (found.whole.reads, found.whole.fires):
            assert [cell.token_id for cell in (*strip.before, *strip.after)] == tokens
        assert len(found.whole.fires.before) == place.position + 1
    with pytest.raises(NotFound, match="no example"):
        whole_example(context, REF, HEAD, "prefix", ExamplePosition(0, 0))


def test_figures_are_counts_over_the_stored_examples(run: StoredRun) -> None:
    record = run.features[REF]
    examples = record.examples
    assert examples is not None
    figures = example_figures(record, HEAD.head)
    prefixes, distances, n = [0] * 7, [0] * len(DISTANCES), 0
    for i in range(len(examples)):
        source = int(examples.source[i, HEAD.head, 0])
        if source < 0:
            continue
        n += 1
        prefixes[min(int(examples.prefix_length[i, HEAD.head]), 6)] += 1
        back = int(examples.position[i]) - source
        distances[
            next((place for place, edge in enumerate(DISTANCES) if back <= edge), len(DISTANCES) - 1)
        ] += 1
    assert (figures.n, figures.prefix_lengths, figures.distances) == (n, tuple(prefixes), tuple(distances))
    assert len(figures.contributions) == 4
    for head, row in enumerate(figures.contributions):
        assert row == pytest.approx(examples.head_contribution[:10, head].tolist())


def test_a_dead_feature_has_no_figures(context: AtlasContext) -> None:
    page = feature_page(context, FeatureRef(2, 80), None)
    assert (page.figures.n, page.figures.contributions, page.groups) == (0, (), ())
    with pytest.raises(NotFound):
        feature_page(context, FeatureRef(2, 80), None, whole=ExamplePosition(1, 1))


def test_similar_features_are_those_stored(context: AtlasContext, run: StoredRun) -> None:
    stored = run.features[REF].similar
    assert stored is not None
    shown = feature_page(context, REF, None).similar
    assert [other.feature.index for other in shown] == stored.feature_index.tolist()
    assert [other.cosine for other in shown] == pytest.approx(stored.cosine.tolist())
    assert all(other.promoted for other in shown)
