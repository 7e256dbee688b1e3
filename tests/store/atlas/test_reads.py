"""Reading a run: features in their order, neighbours, pages of lists, few queries, and what is missing."""

from dataclasses import replace

import pytest

from app.domain.records import AtlasRecord
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.store.atlas import features, reads
from app.store.atlas import writes as runs
from app.store.atlas.rankings import get_all_rankings
from app.store.database.engine import read_session, write_session
from tests.support import stored_runs
from tests.support.stored_runs import assert_same, counted_queries, publish


def test_features_come_in_the_order_asked_for_and_examples_only_on_demand(engine):
    publish(engine)
    refs = [FeatureRef(2, 7), FeatureRef(0, 1), FeatureRef(2, 1), FeatureRef(2, 7)]
    with read_session(engine) as session:
        run = reads.get_live_run(session, "tiny")
        found = features.get_features(session, run, refs, with_examples=False)
        assert features.get_features(session, run, [], with_examples=True) == []
        one = features.get_feature(session, run, refs[0])
    assert [feature.ref for feature in found] == refs
    assert all(feature.examples is None for feature in found)
    assert_same(replace(one, examples=None), found[0])
    assert one.examples is not None


def test_neighbours_are_the_stored_features_of_the_layer(engine):
    publish(engine)
    stored = [f.ref for f in stored_runs.features() if f.ref.layer == 2]
    with read_session(engine) as session:
        run = reads.get_live_run(session, "tiny")
        for index in range(20):
            found = features.feature_neighbours(session, run, FeatureRef(2, index))
            below = [ref for ref in stored if ref.index < index]
            above = [ref for ref in stored if ref.index > index]
            assert (found.previous, found.next) == (
                max(below) if below else None,
                min(above) if above else None,
            )


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_pages_of_a_list_are_the_sorted_list(engine, limit):
    publish(engine)
    layer = [f.ref for f in stored_runs.features() if f.ref.layer == 2]
    with read_session(engine) as session:
        run = reads.get_live_run(session, "tiny")
        found, after = [], None
        while page := features.list_features(session, run, 2, limit, after):
            assert len(page) <= limit
            found += page
            assert len(found) <= len(layer)
            after = page[-1].ref
    assert [f.ref for f in found] == sorted(layer)
    assert all(f.examples is None for f in found)


def test_evidence_is_that_of_the_records_and_of_none_that_are_not_stored(engine):
    publish(engine)
    with read_session(engine) as session:
        run = reads.get_live_run(session, "tiny")
        refs = [*(f.ref for f in stored_runs.features()), FeatureRef(0, 999)]
        found = features.stored_evidence(session, run, refs)
        records = features.stored_features(session, run, refs)
        assert_same(found, {ref: record.evidence for ref, record in records.items()})
        assert found
        assert features.stored_evidence(session, run, []) == {}


def test_the_rankings_of_one_layer_are_those_among_all(engine):
    publish(engine)
    with read_session(engine) as session:
        run = reads.get_live_run(session, "tiny")
        every = get_all_rankings(session, run, 3)
        layers = {head.layer for head, _ in every}
        assert len(layers) > 1
        for layer in layers:
            of_layer = {key: refs for key, refs in every.items() if key[0].layer == layer}
            assert get_all_rankings(session, run, 3, layer) == of_layer
        assert get_all_rankings(session, run, 3, 99) == {}


def test_each_reader_takes_a_fixed_small_number_of_queries(engine):
    publish(engine, "one")
    publish(engine, "two", "f2")
    with read_session(engine) as session:
        run = reads.get_live_run(session, "one")
    few, many = [FeatureRef(2, 1)], [f.ref for f in stored_runs.features()]
    readers = {
        "list_atlases": (2, lambda s: reads.list_atlases(s)),
        "get_live_state": (1, lambda s: reads.get_live_state(s, "one")),
        "get_live_run": (3, lambda s: reads.get_live_run(s, "one")),
        "get_heads": (2, lambda s: reads.get_heads(s, run)),
        "get_ranking": (1, lambda s: reads.get_ranking(s, run, HeadRef(2, 1), "fve", 10)),
        "few features": (1, lambda s: features.get_features(s, run, few, with_examples=True)),
        "many features": (1, lambda s: features.get_features(s, run, many, with_examples=True)),
        "evidence": (1, lambda s: features.stored_evidence(s, run, many)),
        "neighbours": (1, lambda s: features.feature_neighbours(s, run, few[0])),
        "a page": (1, lambda s: features.list_features(s, run, 2, 3, few[0])),
        "sequences": (1, lambda s: reads.get_sequences(s, run, range(5))),
        "vocabulary": (1, lambda s: reads.get_vocabulary(s, run)),
        "report": (1, lambda s: reads.get_report(s, run)),
    }
    for name, (n_queries, read) in readers.items():
        with read_session(engine) as session, counted_queries(engine) as seen:
            read(session)
        assert len(seen) == n_queries, (name, seen)


def test_what_is_missing_is_named(engine):
    publish(engine)
    with write_session(engine) as session:
        runs.begin_run(session, "empty", stored_runs.run_record())
    with read_session(engine) as session:
        run = reads.get_live_run(session, "tiny")
        for name, read in {
            "nothing": lambda: reads.get_live_run(session, "nothing"),
            "empty": lambda: reads.get_live_run(session, "empty"),
            "L0F2": lambda: features.get_features(
                session, run, [FeatureRef(0, 1), FeatureRef(0, 2)], with_examples=False
            ),
            "L1F2147483647": lambda: features.get_feature(session, run, FeatureRef(1, 2**31 - 1)),
            "sequence 99": lambda: reads.get_sequences(session, run, [1, 99]),
        }.items():
            with pytest.raises(NotFound, match=name):
                read()
        assert reads.get_ranking(session, run, HeadRef(1, 0), "fve", 10).features == ()
        assert reads.list_atlases(session)[0] == AtlasRecord("empty", None)
