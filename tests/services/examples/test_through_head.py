"""A feature seen through all heads: their summed DFA as it was stored, against slow loops."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine

from app.domain.evidence import KINDS
from app.domain.records import Examples
from app.domain.refs import FeatureRef, HeadRef
from app.services.examples.through_head import SumNotStored
from app.services.features.figures import example_figures
from app.services.features.page import ExamplePosition, feature_page, whole_example
from app.services.reading.context import AtlasContext
from app.store.atlas.reads import get_live_run
from app.store.database.engine import read_session
from tests.support.run_data import StoredRun, make_run, publish

REF = FeatureRef(0, 3)


def stored_examples(run: StoredRun) -> Examples:
    examples = run.features[REF].examples
    assert examples is not None
    return examples


def test_every_example_shows_the_summed_sources(context: AtlasContext, run: StoredRun) -> None:
    examples = stored_examples(run)
    summed = examples.summed
    assert summed is not None
    page = feature_page(context, REF, "all")
    assert (page.head, page.all_heads, page.head_promoted, page.head_suppressed) == (None, True, (), ())
    assert page.dfa_maximum == pytest.approx(np.abs(summed.dfa).max())
    for group, stored in zip(page.groups, run.features[REF].groups, strict=True):
        for i, pair in enumerate(group.pairs, stored.start):
            example = pair.example
            assert (example.sequence, example.position) == (examples.sequence[i], examples.position[i])
            assert example.source_position == summed.source[i, 0]
            assert example.source_dfa == pytest.approx(summed.dfa[i, 0])
            assert example.prefix_length == summed.prefix_length[i]
            read = {cell.value for cell in (*pair.reads.before, *pair.reads.after) if cell.value is not None}
            assert read <= {float(value) for value in summed.dfa[i]}
            # What all heads add is the pre-activation without its bias, whatever sign the bias has.
            by_hand = sum(float(part) for part in examples.head_contribution[i])
            assert example.head_contribution == pytest.approx(by_hand)
            assert example.head_contribution + float(examples.bias[i]) == pytest.approx(
                example.pre_activation, rel=1e-4
            )
            assert example.head_share == pytest.approx(by_hand / example.pre_activation)
            kept = float(summed.dfa[i].sum(dtype=np.float64)) + float(summed.rest[i])
            assert kept == pytest.approx(example.head_contribution, rel=1e-4)


def test_evidence_is_counted_over_the_whole_top_group(context: AtlasContext, run: StoredRun) -> None:
    record, examples = run.features[REF], stored_examples(run)
    summed = examples.summed
    assert summed is not None
    page = feature_page(context, REF, "all")
    n, promoted = page.evidence_n, set(record.promoted.token_id[record.promoted.logit > 0].tolist())
    counts = dict.fromkeys(page.evidence, 0)
    for i in range(n):
        tokens = run.sequences[examples.sequence[i]]
        source, dest = int(summed.source[i, 0]), int(examples.position[i])
        counts["previous_token"] += source == dest - 1
        counts["same_token"] += bool(tokens[source] == tokens[dest] and source < dest)
        counts["induction"] += int(summed.prefix_length[i]) >= 1
        counts["induction_fuzzy"] += int(summed.prefix_length_fuzzy[i]) >= 1
        counts["bos"] += source == 0
        counts["copying"] += int(tokens[source]) in promoted
    assert set(counts) == set(KINDS)
    assert page.evidence == {kind: count / n for kind, count in counts.items()}
    assert n == 20


def test_figures_and_a_whole_text_are_of_the_sum(context: AtlasContext, run: StoredRun) -> None:
    examples = stored_examples(run)
    summed = examples.summed
    assert summed is not None
    figures = example_figures(run.features[REF], None)
    assert figures.n == len(examples)
    assert figures.prefix_lengths == tuple(
        sum(min(int(length), 6) == n for length in summed.prefix_length) for n in range(7)
    )
    place = ExamplePosition(int(examples.sequence[1]), int(examples.position[1]))
    found = whole_example(context, REF, "all", "token", place)
    assert found.head is None
    assert found.whole.example.source_position == summed.source[1, 0]
    assert len(found.whole.reads.before) == summed.source[1, 0] + 1


def test_a_run_without_the_sum_says_so_and_offers_one_head(engine: Engine) -> None:
    run = make_run()
    record = run.features[REF]
    old = replace(record, examples=replace(stored_examples(run), summed=None))
    publish(engine, replace(run, features={**run.features, REF: old}))
    with read_session(engine) as session:
        context = AtlasContext(session, get_live_run(session, run.slug))
        assert not feature_page(context, REF, HeadRef(0, 1)).all_heads
        with pytest.raises(SumNotStored, match="choose one head, or precompute the atlas again"):
            feature_page(context, REF, "all")
